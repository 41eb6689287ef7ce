"""From functions and a catalogue of help texts to the program: option groups are dataclasses, typer does the rest.

A command is a function whose parameters are option groups (frozen dataclasses, which may hold other groups) or single
values. Every field becomes an option, and the function is handed whole objects. What people read about commands and
options is data, in both languages: `help.toml`. A new command is one function with `@command()` and one entry there.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from fewshot_llm.types import Language

__all__ = [
    "COMMANDS",
    "Catalogue",
    "Command",
    "Defaults",
    "Flag",
    "Only",
    "Option",
    "Without",
    "argument",
    "build_app",
    "command",
    "flag",
    "help_language",
    "options_of",
    "read_catalogue",
    "typer_function",
]

Function = TypeVar("Function", bound=Callable[..., Any])

HELP = Path(__file__).with_name("help.toml")
REQUIRED = inspect.Parameter.empty
WIDE = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef“”…]"
OPENS, CLOSES = r"\[（“《", r"\]，。；：、！？）”》…"
PIECE = re.compile(rf"\s+|[{OPENS}]*(?:{WIDE}|(?:(?!{WIDE})\S)+)[{CLOSES}]*\s*")
"""What stays in one line: a word, or one Chinese character, with the marks that belong to it and the spaces behind."""
BREAK = re.compile(rf"(?<={WIDE})\n(?={WIDE})")


@dataclass(frozen=True)
class Flag:
    """How a field stands on the command line, beside its type and default.

    Attributes:
        names: as they are typed; made of the field's name where there are none.
        positional: it is an argument, without a name.
        key: of its entry in the catalogue; its long name by default.
        settings: for typer: `min`, `exists`, `envvar` and the like.
    """

    names: tuple[str, ...] = ()
    positional: bool = False
    key: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def flag(*names: str, key: str = "", **settings: Any) -> Flag:
    """An option; see `Flag`."""
    return Flag(names, False, key, settings)


def argument(*, key: str = "", **settings: Any) -> Flag:
    """A value without a name before it; see `Flag`."""
    return Flag((), True, key, settings)


class Only(frozenset[str]):
    """`Annotated[Group, Only({"shots", "seed"})]`: a command takes these options of a group, and no others."""


class Without(frozenset[str]):
    """`Annotated[Group, Without({"shots"})]`: a command takes all options of a group but these."""


class Defaults(dict[str, Any]):
    """`Annotated[Group, Defaults(shots=2)]`: what options of a group are for one command, where nothing is said."""


@dataclass(frozen=True)
class Option:
    """One value on the command line.

    Attributes:
        name: of the field or parameter.
        type: of the value.
        default: `REQUIRED` where there is none.
        flag: how it stands on the command line.
    """

    name: str
    type: Any
    default: Any
    flag: Flag

    @property
    def names(self) -> tuple[str, ...]:
        """As they are typed; none of an argument."""
        if self.flag.positional:
            return ()
        return self.flag.names or (f"--{self.name.replace('_', '-')}",)

    @property
    def key(self) -> str:
        """Of its entry in the catalogue."""
        return self.flag.key or (max(self.names, key=len).lstrip("-") if self.names else self.name)


@dataclass(frozen=True)
class _Group:
    """A function or dataclass, and what its parameters are filled from."""

    make: Callable[..., Any]
    parts: Mapping[str, _Part]


_Part: TypeAlias = Option | _Group


def options_of(function: Callable[..., Any]) -> tuple[Option, ...]:
    """The options of a command, in the order of its parameters and their fields.

    Raises:
        TypeError: two fields have one name, or a group cannot be taken as it is asked for.
    """
    return _checked(_group(function), function)


def _checked(group: _Group, function: Callable[..., Any]) -> tuple[Option, ...]:
    found = tuple(_leaves(group))
    names = [option.name for option in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TypeError(f"{function.__qualname__} has more than one option named {twice[0]!r}. Rename one of them.")
    return found


def _group(make: Callable[..., Any]) -> _Group:
    hints = get_type_hints(make, include_extras=True)
    parts: dict[str, _Part] = {}
    for one in inspect.signature(make).parameters.values():
        hint = hints[one.name]
        kind, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            parts[one.name] = _taken(_group(kind), marks)
        else:
            how = next((mark for mark in marks if isinstance(mark, Flag)), Flag())
            parts[one.name] = Option(one.name, kind, one.default, how)
    return _Group(make, parts)


def _taken(group: _Group, marks: list[Any]) -> _Group:
    """Of a group what the marks say."""
    for mark in marks:
        there = {option.name for option in _leaves(group)}
        if unknown := sorted(set(mark) - there):
            known = ", ".join(sorted(there))
            raise TypeError(f"{group.make.__qualname__} has no option {unknown[0]!r}. It has: {known}.")
        match mark:
            case Defaults():
                group = _changed(group, mark, there)
            case Only():
                group = _changed(group, {}, there & mark)
            case Without():
                group = _changed(group, {}, there - mark)
    return group


def _changed(group: _Group, defaults: Mapping[str, Any], kept: Set[str]) -> _Group:
    parts: dict[str, _Part] = {}
    for name, part in group.parts.items():
        if isinstance(part, _Group):
            parts[name] = _changed(part, defaults, kept)
        elif name in kept:
            parts[name] = dataclasses.replace(part, default=defaults.get(name, part.default))
        elif part.default is REQUIRED:
            raise TypeError(f"{group.make.__qualname__} cannot do without {name!r}, which has no default.")
    return _Group(group.make, parts)


def _leaves(group: _Group) -> Iterator[Option]:
    """All options; of a dataclass its own before those of the groups that it holds."""
    parts = group.parts.values()
    for part in sorted(parts, key=lambda one: isinstance(one, _Group)) if isinstance(group.make, type) else parts:
        if isinstance(part, _Group):
            yield from _leaves(part)
        else:
            yield part


def _filled(group: _Group, values: Mapping[str, Any]) -> Any:
    return group.make(
        **{
            name: _filled(part, values) if isinstance(part, _Group) else values[name]
            for name, part in group.parts.items()
        }
    )


def typer_function(function: Callable[..., Any], describe: Callable[[str], Mapping[str, str]]) -> Callable[..., Any]:
    """A function as typer wants it: one parameter for each option, with everything that is shown about it.

    Args:
        function: a command, whose parameters are option groups or single values.
        describe: key of an option → `help` and, where there are such, `panel` and `metavar`.
    """
    group = _group(function)

    def run(**values: Any) -> Any:
        return _filled(group, values)

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    parameters = [_parameter(option, describe(option.key)) for option in _checked(group, function)]
    vars(run)["__signature__"] = inspect.Signature(parameters)
    return run


def _parameter(option: Option, shown: Mapping[str, str]) -> inspect.Parameter:
    settings = {
        "help": shown["help"],
        "metavar": shown.get("metavar"),
        **option.flag.settings,
    }
    if option.flag.positional:
        told = typer.Argument(**settings)
    else:
        told = typer.Option(*option.names, rich_help_panel=shown.get("panel"), **settings)
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(option.name, kind, default=option.default, annotation=Annotated[option.type, told])


@dataclass(frozen=True)
class Command:
    """A command of the program.

    Attributes:
        name: as it is typed: `classify`, `models list`.
        function: what it does.
        parser: typer's class for it.
    """

    name: str
    function: Callable[..., Any]
    parser: type[TyperCommand]


COMMANDS: dict[str, Command] = {}
"""All commands by name; `command` adds to it where a command is defined."""


def command(name: str = "", parser: type[TyperCommand] = TyperCommand) -> Callable[[Function], Function]:
    """Makes a function a command of the program; the function stays as it is.

    Args:
        name: as it is typed; that of the function by default.
        parser: a class of typer's with habits of its own.
    """

    def register(function: Function) -> Function:
        typed = name or function.__name__
        COMMANDS[typed] = Command(typed, function, parser)
        return function

    return register


@dataclass(frozen=True)
class Catalogue:
    """What people read about the program, in one language.

    Attributes:
        entries: as they stand in `help.toml`.
        language: of the texts.
    """

    entries: Mapping[str, Any]
    language: Language

    @property
    def commands(self) -> tuple[str, ...]:
        """Names, groups of commands among them, in the order in which help shows them."""
        return tuple(self.entries["commands"])

    def text(self, entry: Mapping[str, str]) -> str:
        """The entry in this language: a line for each paragraph, and an empty one between them."""
        paragraphs = entry[self.language].strip().split("\n\n")
        return "\n\n".join(BREAK.sub("", one).replace("\n", " ") for one in paragraphs)

    def panel(self, entry: Mapping[str, str]) -> str | None:
        """The heading that an entry stands under; `None` for the usual one."""
        return self.text(self.entries["panels"][entry["panel"]]) if "panel" in entry else None

    def option(self, command: str, key: str) -> Mapping[str, str]:
        """What typer shows about an option of a command: `help`, and where there are such `panel` and `metavar`.

        Raises:
            LookupError: there is no text for it.
        """
        own = self.entries["commands"].get(command, {}).get("options", {}).get(key, {})
        entry = {**self.entries["options"].get(key, {}), **own}
        if self.language not in entry:
            raise LookupError(f"{HELP.name} has no text in {self.language!r} for the option {key!r} of {command!r}.")
        shown = {"help": self.text(entry), "panel": self.panel(entry), "metavar": entry.get("metavar")}
        return {name: text for name, text in shown.items() if text}


@cache
def _entries() -> Mapping[str, Any]:
    return tomllib.loads(HELP.read_text(encoding="utf-8"))


def read_catalogue(language: Language) -> Catalogue:
    """The texts of `help.toml` in a language."""
    return Catalogue(_entries(), language)


def help_language(environment: Mapping[str, str] = os.environ) -> Language:
    """The language in which help is shown: what `FEWSHOT_LANG` says, otherwise the locale; English by default.

    >>> help_language({"FEWSHOT_LANG": "en", "LANG": "zh_CN.UTF-8"}), help_language({"LANG": "zh_TW.UTF-8"})
    ('en', 'zh')
    """
    names = ("FEWSHOT_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    said = next((environment[name] for name in names if environment.get(name)), "")
    return "zh" if said.lower().startswith("zh") else "en"


def build_app(
    common: Callable[..., Any], catalogue: Catalogue, root: type[TyperGroup] = TyperGroup, **settings: Any
) -> typer.Typer:
    """The program: every command of the catalogue, in its order and language.

    Args:
        common: what the options of the program itself do.
        catalogue: the texts.
        root: typer's class for the program.
        **settings: of `typer.Typer`, for the program.

    Raises:
        LookupError: a command or an option has no text.
    """
    if unknown := sorted(set(COMMANDS) - set(catalogue.commands)):
        raise LookupError(f"{HELP.name} has no entry for the command {unknown[0]!r}.")
    entries, said = catalogue.entries, catalogue.text
    epilog = said(entries["program"]["epilog"])
    app = typer.Typer(cls=_speaking(root, catalogue), epilog=epilog, rich_markup_mode="markdown", **settings)
    app.callback(help=said(entries["program"]))(typer_function(common, partial(catalogue.option, "")))
    apps = {"": app}
    for name in catalogue.commands:
        entry, (above, _, last) = entries["commands"][name], name.rpartition(" ")
        shown: dict[str, Any] = {"help": said(entry), "rich_help_panel": catalogue.panel(entry)}
        if name in COMMANDS:
            one = COMMANDS[name]
            run = typer_function(one.function, partial(catalogue.option, name))
            apps[above].command(last, cls=_speaking(one.parser, catalogue), **shown)(run)
        else:
            apps[name] = typer.Typer(cls=_speaking(TyperGroup, catalogue), rich_markup_mode="markdown")
            apps[above].add_typer(apps[name], name=last, **shown)
    return app


def _speaking(kind: type[Any], catalogue: Catalogue) -> type[Any]:
    """Typer's class, with help whose headings and marks are in the catalogue's language as well."""

    class Speaking(kind):  # type: ignore[misc]
        def format_help(self, ctx: Any, formatter: Any) -> None:
            for parameter in self.get_params(ctx):
                if parameter.name in ("help", "install_completion", "show_completion"):  # typer's own
                    parameter.help = catalogue.option("", parameter.name.replace("_", "-"))["help"]
            with _frame(catalogue):
                super().format_help(ctx, formatter)

    return Speaking


@contextmanager
def _frame(catalogue: Catalogue) -> Iterator[None]:
    """Within it, what typer writes around the texts (`[required]`, `Options`) is in the catalogue's language.

    Rich breaks lines at spaces alone, and cuts off what does not fit; Chinese may be broken between any two characters.
    """
    import rich.text
    from typer import rich_utils

    wanted: dict[str, Any] = {name: catalogue.text(entry) for name, entry in catalogue.entries["frame"].items()}
    places = [(vars(rich_utils), wanted)]
    if catalogue.language == "zh":
        places.append((vars(rich.text), {"divide_line": _line_breaks}))
    usual = [(place, {name: place[name] for name in changed}) for place, changed in places]
    for place, changed in places:
        place.update(changed)
    try:
        yield
    finally:
        for place, before in usual:
            place.update(before)


def _line_breaks(text: str, width: int, fold: bool = True) -> list[int]:
    """Where a paragraph is broken into lines: at spaces and between Chinese characters, never before a comma.

    Args:
        text: the paragraph.
        width: of a line, in the cells of a terminal; a Chinese character takes two.
        fold: has no meaning: a word that is longer than a line is always broken.

    Returns:
        The positions at which a new line begins.

    >>> _line_breaks("用 --top-k 时，其余不打分。", 14)
    [10, 16]
    """
    from rich.cells import cell_len

    breaks, used = [], 0
    for piece in PIECE.finditer(text):
        length = cell_len(piece[0])
        if used and used + length > width:
            breaks.append(piece.start())
            used = 0
        if length <= width:
            used += length
            continue
        for at, character in enumerate(piece[0], start=piece.start()):
            if used + cell_len(character) > width:
                breaks.append(at)
                used = 0
            used += cell_len(character)
    return breaks
