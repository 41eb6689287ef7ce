"""Commands from option groups, and the catalogue of help texts in two languages."""

from __future__ import annotations

import dataclasses
import inspect
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from fewshot_llm.cli import make_app, options
from fewshot_llm.cli.build import settings_of, take_calibration, take_ranking_prompt, take_selection
from fewshot_llm.cli.command import (
    COMMANDS,
    HELP,
    REQUIRED,
    Catalogue,
    Defaults,
    Only,
    Without,
    argument,
    build_app,
    flag,
    help_language,
    options_of,
    read_catalogue,
    typer_function,
)
from fewshot_llm.estimators import FewShotClassifier, FewShotMultiLabelClassifier, FewShotRanker, FewShotRegressor
from fewshot_llm.ladder import QUICK_RUNGS, Ladder
from fewshot_llm.predictors import PmiPrompt
from fewshot_llm.selective import SelectivePolicy

LANGUAGES = ("en", "zh")
MOST_PARAMETERS = 8
ENTRIES = tomllib.loads(HELP.read_text(encoding="utf-8"))
PROGRAM = {"version", "debug", "help", "install-completion", "show-completion"}


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Held by another group."""

    loud: bool = False
    times: Annotated[int, flag(min=1)] = 1


@dataclass(frozen=True, kw_only=True)
class Outer:
    """A group that holds a group."""

    inner: Inner
    word: Annotated[str, flag("--word", "-w")]
    kind: Literal["a", "b"] = "a"
    names: list[str] | None = None


def runner(function: Any) -> Any:
    """Runs a function as the only command of a program; the function prints what it was given."""
    app = typer.Typer()
    app.command()(typer_function(function, lambda key: {"help": f"About {key}."}))
    return lambda *given: CliRunner().invoke(app, list(given))


class TestOptionsBecomeObjects:
    def test_a_command_is_handed_whole_groups(self) -> None:
        def say(place: Annotated[Path, argument()], outer: Outer, last: int = 3) -> None:
            """Print what came."""
            print(place, outer, last)

        said = runner(say)("here", "-w", "x", "--times", "2", "--loud", "--names", "p", "--names", "q")
        assert said.stdout.strip() == (f"here {Outer(inner=Inner(loud=True, times=2), word='x', names=['p', 'q'])} 3")

    def test_own_fields_come_before_those_of_inner_groups(self) -> None:
        def say(outer: Outer, last: int = 3) -> None: ...

        assert [one.name for one in options_of(say)] == ["word", "kind", "names", "loud", "times", "last"]

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [([], "--word"), (["-w", "x", "--times", "0"], "--times"), (["-w", "x", "--kind", "c"], "'c'")],
    )
    def test_what_is_wrong_is_refused_by_its_name(self, given: list[str], complaint: str) -> None:
        def say(outer: Outer) -> None: ...

        result = runner(say)(*given)
        assert result.exit_code == 2
        assert complaint in result.output

    def test_only_and_without_leave_the_rest_at_its_default(self) -> None:
        def some(outer: Annotated[Outer, Only({"word", "loud"})]) -> None:
            print(outer)

        def most(outer: Annotated[Outer, Without({"kind", "times", "names"})]) -> None:
            print(outer)

        for function in (some, most):
            assert [one.name for one in options_of(function)] == ["word", "loud"]
            assert runner(function)("--word", "x").stdout.strip() == str(Outer(inner=Inner(), word="x"))

    def test_defaults_of_one_command(self) -> None:
        def say(outer: Annotated[Outer, Without({"names"}), Defaults(kind="b", times=5, word="w")]) -> None:
            print(outer)

        assert runner(say)().stdout.strip() == str(Outer(inner=Inner(times=5), word="w", kind="b"))

    def test_nonsense_is_refused_where_it_is_written(self) -> None:
        def unknown(outer: Annotated[Outer, Without({"colour"})]) -> None: ...

        def needed(outer: Annotated[Outer, Without({"word"})]) -> None: ...

        def twice(outer: Outer, inner: Inner) -> None: ...

        for function, complaint in ((unknown, "'colour'"), (needed, "'word'"), (twice, "'loud'")):
            with pytest.raises(TypeError, match=complaint):
                options_of(function)


class TestCommands:
    @pytest.mark.parametrize("name", COMMANDS)
    def test_no_command_has_many_parameters(self, name: str) -> None:
        assert len(inspect.signature(COMMANDS[name].function).parameters) <= MOST_PARAMETERS

    def test_groups_are_frozen(self) -> None:
        groups = [one for one in vars(options).values() if isinstance(one, type) and dataclasses.is_dataclass(one)]
        groups = [one for one in groups if one.__module__ == options.__name__]
        assert len(groups) > 30
        for group in groups:
            assert group.__dataclass_params__.frozen, group
            assert not [name for name in vars(group) if not name.startswith("_") and callable(vars(group)[name])]

    @pytest.mark.parametrize(
        ("group", "taker", "named"),
        [
            (options.ClassifierPrompt, FewShotClassifier, {}),
            (options.RegressorPrompt, FewShotRegressor, {}),
            (options.PromptWithShots, FewShotMultiLabelClassifier, {}),
            (options.RankerPrompt, FewShotRanker, {"prompt": PmiPrompt()}),
            (options.LadderOptions, Ladder, {}),
        ],
    )
    def test_fields_and_defaults_are_those_of_what_takes_them(
        self, group: type[Any], taker: type[Any], named: dict[str, object]
    ) -> None:
        """So that a command passes a group on as keywords; what is chosen by name stands for the default object."""
        taken = inspect.signature(taker).parameters
        for field in dataclasses.fields(group):
            if field.name in ("only", "prefer") and "ladder" in taken:  # together they are the ladder
                continue
            assert field.name in taken
            if field.name not in named:
                assert field.default == taken[field.name].default, field.name
        settings = settings_of(group(), model=None)  # type: ignore[arg-type]
        assert {name: settings[name] for name in named} == named
        assert all(taken[name].default is None for name in named)

    def test_wishes_for_a_rung_are_the_ladder(self) -> None:
        assert settings_of(options.ClassifierPrompt(), model=None)["ladder"] == "auto"  # type: ignore[arg-type]
        one = settings_of(options.ClassifierPrompt(only="words", seed=3), model=None)["ladder"]  # type: ignore[arg-type]
        assert ([rung.name for rung in one.rungs], one.seed) == (["words"], 3)
        cheap = settings_of(options.ClassifierPrompt(prefer="cost"), model=None)["ladder"]  # type: ignore[arg-type]
        assert (cheap.prefer, cheap.rungs) == ("cost", QUICK_RUNGS)

    @pytest.mark.parametrize(
        ("group", "taker"), [(options.ModelOptions, FewShotClassifier), (options.PolicyOptions, SelectivePolicy)]
    )
    def test_settings_of_one_name_have_one_default(self, group: type[Any], taker: type[Any]) -> None:
        taken = inspect.signature(taker).parameters
        same = [field for field in dataclasses.fields(group) if field.name in taken]
        assert len(same) >= 4
        assert [field.default for field in same] == [taken[field.name].default for field in same]

    def test_every_name_stands_for_an_object(self) -> None:
        from typing import get_args

        for name in set(get_args(options.SelectionName)) - {"nearest-hidden"}:
            assert take_selection(name, None)  # type: ignore[arg-type]
        assert all(map(take_calibration, get_args(options.CalibrationName)))
        assert all(map(take_ranking_prompt, get_args(options.RankingPromptName)))


def used() -> dict[tuple[str, str], None]:
    """(command, key) of every option that there is."""
    return {(name, one.key): None for name, command in COMMANDS.items() for one in options_of(command.function)}


def texts(entries: Any, place: str = "") -> dict[str, dict[str, Any]]:
    """Every table of the catalogue that holds a text, by its place."""
    found = {place: entries} if {"en", "zh"} & set(entries) else {}
    for name, below in entries.items():
        if isinstance(below, dict):
            found |= texts(below, f"{place}.{name}".strip("."))
    return found


class TestCatalogue:
    def test_both_languages_are_there(self) -> None:
        assert len(texts(ENTRIES)) > 150
        lacking = [place for place, entry in texts(ENTRIES).items() if not all(entry.get(one) for one in LANGUAGES)]
        assert lacking == []

    def test_chinese_is_chinese_and_english_is_not(self) -> None:
        chinese = re.compile(r"[\u4e00-\u9fff]")
        bare = {"options.device", "options.dtype"}  # names, for the greater part
        for place, entry in texts(ENTRIES).items():
            assert chinese.search(entry["zh"]) or place in bare, place
            quoted = re.sub(r'"[^"]*"', "", entry["en"])
            assert not chinese.search(quoted), place

    def test_the_two_languages_name_the_same_options(self) -> None:
        """`--max-error` in one of them, and in the other as well."""
        named = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
        for place, entry in texts(ENTRIES).items():
            assert set(named.findall(entry["en"])) <= set(named.findall(entry["zh"])), place

    def test_every_command_and_option_has_a_text(self) -> None:
        for language in LANGUAGES:
            catalogue = read_catalogue(language)
            assert set(COMMANDS) <= set(catalogue.commands)
            assert all(catalogue.option(name, key)["help"] for name, key in used())
            assert all(catalogue.option("", key)["help"] for key in PROGRAM)

    def test_every_text_is_used(self) -> None:
        asked = used()
        keys = {key for _, key in asked}
        groups = {name.rpartition(" ")[0] for name in COMMANDS}
        assert set(ENTRIES["options"]) - PROGRAM <= keys
        assert set(ENTRIES["commands"]) <= set(COMMANDS) | groups
        own = {(name, key) for name, entry in ENTRIES["commands"].items() for key in entry.get("options", {})}
        assert own <= set(asked)
        shared = {key for name, key in asked if "en" not in ENTRIES["commands"][name].get("options", {}).get(key, {})}
        assert set(ENTRIES["options"]) - PROGRAM == shared

    def test_every_heading_is_used_and_there(self) -> None:
        found = re.findall(r'^panel = "(\w+)"', HELP.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(found) == set(ENTRIES["panels"])

    def test_a_text_that_is_missing_is_named(self) -> None:
        lacking = {**ENTRIES, "options": {**ENTRIES["options"], "seed": {"en": "Fixes chance."}}}
        with pytest.raises(LookupError, match="'zh' for the option 'seed'"):
            Catalogue(lacking, "zh").option("classify", "seed")
        lacking = {**ENTRIES, "commands": {name: ENTRIES["commands"][name] for name in ("demo", "classify")}}
        with pytest.raises(LookupError, match="no entry for the command 'attack'"):
            build_app(lambda: None, Catalogue(lacking, "en"))

    def test_lines_are_joined(self) -> None:
        catalogue = Catalogue({}, "zh")
        assert (
            catalogue.text({"zh": "第一行，\n第二行 CSV\n文件。\n\n另一段。\n"})
            == "第一行，第二行 CSV 文件。\n\n另一段。"
        )


class TestLanguage:
    @pytest.mark.parametrize(
        ("environment", "language"),
        [
            ({}, "en"),
            ({"LANG": "zh_CN.UTF-8"}, "zh"),
            ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
            ({"LANG": "de_DE.UTF-8", "LC_ALL": "zh_TW"}, "zh"),
            ({"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
            ({"LANG": "zh_CN.UTF-8", "FEWSHOT_LANG": "en"}, "en"),
            ({"LANG": "C.UTF-8", "FEWSHOT_LANG": "zh"}, "zh"),
            ({"FEWSHOT_LANG": "ZH_cn"}, "zh"),
        ],
    )
    def test_what_decides(self, environment: dict[str, str], language: str) -> None:
        assert help_language(environment) == language

    @pytest.mark.parametrize("name", ["", *COMMANDS, "models"])
    def test_help_is_in_the_language(self, name: str) -> None:
        """All of it: headings, marks and what typer writes itself."""
        typers_own = re.compile(r"Options|Arguments|Commands|Show this|required|default:|Install completion")
        shown = CliRunner().invoke(make_app("zh"), [*name.split(), "--help"]).output
        assert "显示这份帮助后退出" in shown
        assert not typers_own.search(shown)
        shown = CliRunner().invoke(make_app("en"), [*name.split(), "--help"]).output
        assert "Show this message and exit." in shown
        assert not re.search(r"[\u4e00-\u9fff]", re.sub(r"“[^”]*”|\"[^\"]*\"", "", " ".join(shown.split())))

    def test_the_languages_have_the_same_options(self) -> None:
        def facts(command: Any) -> Any:
            below = getattr(command, "commands", {})
            return [(one.opts, one.required, one.default) for one in command.params], [
                (name, facts(one)) for name, one in below.items()
            ]

        assert facts(get_command(make_app("zh"))) == facts(get_command(make_app("en")))

    def test_required_is_known(self) -> None:
        assert [one.name for one in options_of(COMMANDS["classify"].function) if one.default is REQUIRED] == [
            "task",
            "input",
            "output",
        ]
