"""The linter: what each server would do with an adapter, before one is started."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fewshot_llm.errors import AdapterError
from fewshot_llm.export.adapter import BaseModel
from fewshot_llm.export.lint_rules import RULES, gather
from fewshot_llm.export.names import Server

__all__ = ["LintFinding", "Status", "lint", "refuse_broken", "worst"]


class Status(StrEnum):
    """The outcome of one rule for one server."""

    PASS = "pass"
    MENDED = "mended"
    NOTE = "note"
    MEND = "mend"


@dataclass(frozen=True)
class LintFinding:
    """One cell of the table server x rule.

    Attributes:
        server: for whom.
        rule: the rule's name.
        status: fine; wrong as it is, and mended by `export`; to be looked at; or to be mended by the user.
        detail: what was found and what the server does with it; empty on a pass.
        remedy: what to do, or what `export` does; empty on a pass.
        source: link to the server's source; empty on a pass.
    """

    server: Server
    rule: str
    status: Status
    detail: str = ""
    remedy: str = ""
    source: str = ""


def lint(folder: Path, base: BaseModel | None = None, servers: Iterable[Server] = Server) -> tuple[LintFinding, ...]:
    """Check an adapter folder against every rule for every server.

    Args:
        folder: a peft adapter folder.
        base: the base model; without it the rules about fit, layers and tokens pass unchecked.
        servers: which columns to fill.

    Returns:
        One finding per rule and server, in the order of `RULES`.

    Raises:
        AdapterError: the folder is no LoRA folder at all.
    """
    facts = gather(folder, base)
    servers = tuple(servers)
    findings = []
    for rule in RULES:
        found = rule.check(facts)
        for server in servers:
            consequence = rule.consequences.get(server) if found else None
            if consequence is None:
                findings.append(LintFinding(server, rule.name, Status.PASS))
                continue
            status = Status.MENDED if rule.mended else Status.NOTE if rule.note else Status.MEND
            detail = f"{found}; {server} {consequence.text}"
            findings.append(LintFinding(server, rule.name, status, detail, rule.remedy, consequence.source))
    return tuple(findings)


def refuse_broken(folder: Path) -> None:
    """Refuse to export what no server and no target can make good.

    Raises:
        AdapterError: names what the linter calls broken, and what to do.
    """
    facts = gather(folder)
    for rule in RULES:
        if rule.broken and (found := rule.check(facts)):
            raise AdapterError(f"{folder} cannot be exported ({rule.name}): {found}. To mend it: {rule.remedy}.")


def worst(findings: Iterable[LintFinding]) -> Status:
    """The gravest status: to be mended, to be looked at, mended, or pass."""
    order = (Status.PASS, Status.MENDED, Status.NOTE, Status.MEND)
    return max((finding.status for finding in findings), key=order.index, default=Status.PASS)
