"""What the pages take from the project when the site is built (`hooks` of mkdocs.yml).

Two marks are written into a page, on a line of their own:

- `<!-- command line -->`: every command with its options, as typer knows them, in the page's language;
- `<!-- file: CHANGELOG.md -->`: a Markdown file that lies outside `docs/`.

Links that leave the site (`../fewshot_llm/…`, the page in the other language) become plain text on it; on the project's
own page they work. And a line that ends in Chinese is joined to the next one, where a browser would put a space.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from enum import EnumType
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

__all__ = ["command_line", "escaped", "joined_chinese", "on_page_markdown", "without_outer_links"]

ROOT = Path(__file__).parents[1]

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
CODE = re.compile(r"(`[^`\n]+`)")
SPECIAL = re.compile(r"[\\`*_{}\[\]#|]|(?<!\w)[!~](?=\S)")
BLOCK = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
CHINESE = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef“”…]"
BREAK = re.compile(rf"(?<={CHINESE})\n *(?={CHINESE})")
FILE = re.compile(r"^<!-- file: (\S+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by mkdocs with the text of each page."""
    if "<!-- command line -->" in markdown:
        written = command_line("zh" if page.file.src_uri.endswith(".zh.md") else "en")
        markdown = markdown.replace("<!-- command line -->", written)
    markdown = FILE.sub(lambda found: (ROOT / found[1]).read_text(encoding="utf-8"), markdown)
    if page.file.src_uri.endswith(".zh.md"):
        markdown = joined_chinese(markdown)
    return without_outer_links(markdown, page.file.src_uri)


def joined_chinese(markdown: str) -> str:
    r"""Paragraphs without the breaks between two Chinese characters; code blocks as they are.

    >>> joined_chinese("质量\n很好\n\n```sh\n甲\n乙\n```")
    '质量很好\n\n```sh\n甲\n乙\n```'
    """
    return "".join(part if part.startswith("```") else BREAK.sub("", part) for part in BLOCK.split(markdown))


def without_outer_links(markdown: str, page: str) -> str:
    """Links to files outside `docs/`, and to `*.zh.md`, as the words they stand on.

    >>> without_outer_links("[the attacks](../fewshot_llm/attacks/v1.toml) and [more](shop.md)", "attacks.md")
    'the attacks and [more](shop.md)'
    """

    def kept(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        if "://" in target or target.startswith("#"):
            return found[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        return words if place.startswith("../") or place.endswith(".zh.md") else found[0]

    return LINK.sub(kept, markdown)


def escaped(text: str, *, in_table: bool = True) -> str:
    r"""A help text as Markdown that shows it as it stands: only what is in backticks means something.

    >>> escaped("One of `[a|b]`: FILE[#CONFIG][:SPLIT], <name> or *.csv.")
    'One of `[a\\|b]`: FILE\\[\\#CONFIG\\]\\[:SPLIT\\], &lt;name&gt; or \\*.csv.'
    """
    code = "\\|" if in_table else "|"
    parts = CODE.split(text)
    return "".join(part.replace("|", code) if number % 2 else _plain(part) for number, part in enumerate(parts))


def _plain(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\g<0>", text)


WORDS = {
    "en": {"head": "| option | meaning |", "required": "**Required.**", "default": "Default: `{}`."},
    "zh": {"head": "| 选项 | 含义 |", "required": "**必填。**", "default": "默认：`{}`。"},
}


def command_line(language: Literal["en", "zh"] = "en") -> str:
    """All commands as Markdown: what each is for, its arguments and options with their defaults."""
    from typer.main import get_command

    from fewshot_llm.cli import make_app

    words = WORDS[language]
    return "\n\n".join(
        _described(name, command, words) for name, command in _commands("", get_command(make_app(language)))
    )


def _commands(prefix: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, below in command.commands.items():
        if hasattr(below, "commands"):
            yield from _commands(f"{prefix}{name} ", below)
        else:
            yield f"{prefix}{name}", below


def _described(name: str, command: Any, words: dict[str, str]) -> str:
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    arguments = " ".join(one.metavar or one.name.upper() for one in shown if one.param_type_name == "argument")
    usage = " ".join(["fewshot-llm", name, arguments, "[OPTIONS]"]).replace("  ", " ")
    lines = [f"## {name}", "", f"`{usage}`", "", escaped((command.help or "").strip(), in_table=False), ""]
    lines += [words["head"], "| --- | --- |"]
    lines += [f"| {_option(one)} | {_meaning(one, words)} |" for one in shown]
    return "\n".join(lines)


def _option(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if getattr(parameter, "is_flag", False):
        return names
    values = escaped(parameter.metavar) if parameter.metavar else _choices(parameter)
    return f"{names} {values}".strip()


def _choices(parameter: Any) -> str:
    found = parameter.type_descriptor.annotation
    for part in (found, *get_args(found)):
        if get_origin(part) is Literal:
            return " ".join(f"`{value}`" for value in get_args(part))
        if isinstance(part, EnumType):
            return " ".join(f"`{member.value}`" for member in part)
    return ""


def _meaning(parameter: Any, words: dict[str, str]) -> str:
    text = escaped((getattr(parameter, "help", None) or "").replace("\n", " "))
    default = parameter.default
    if parameter.required:
        return f"{text} {words['required']}"
    told = callable(default) or default is None or default is False or any(one in text for one in ("[default", "[默认"))
    return text if told else f"{text} {words['default'].format(default)}"
