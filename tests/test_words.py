"""Text for people: every `Text` of the package says the same in both languages."""

from __future__ import annotations

import pkgutil
import re
import string
from collections.abc import Iterator
from importlib import import_module

import pytest

import fewshot_llm
from fewshot_llm.types import Text, counted, listed

HAN = re.compile(r"[\u4e00-\u9fff]")
OPTIONAL = ("fewshot_llm.batch.ray", "fewshot_llm.__main__")
"""Modules that need an extra, or run when they are imported."""


def texts(name: str, value: object) -> Iterator[tuple[str, Text]]:
    match value:
        case Text():
            yield name, value
        case dict():
            for key, inner in value.items():
                yield from texts(f"{name}[{key!r}]", inner)
        case list() | tuple():
            for place, inner in enumerate(value):
                yield from texts(f"{name}[{place}]", inner)


def catalogue() -> dict[str, Text]:
    """Every `Text` at the top of a module or a class, in mappings and lists too."""
    found: dict[str, Text] = {}
    for module in pkgutil.walk_packages(fewshot_llm.__path__, "fewshot_llm."):
        if module.name in OPTIONAL:
            continue
        for name, value in list(vars(import_module(module.name)).items()):
            if isinstance(value, type) and value.__module__ == module.name:
                for inner, text in list(vars(value).items()):
                    found.update(texts(f"{module.name}.{name}.{inner}", text))
            found.update(texts(f"{module.name}.{name}", value))
    return found


CATALOGUE = catalogue()


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_both_languages_say_the_same(name: str) -> None:
    text = CATALOGUE[name]
    assert text.en
    assert text.zh
    assert places(text.en) == places(text.zh)
    assert not HAN.search(text.en), "Chinese in the English text"
    assert not any(place.isdigit() or not place for place in places(text.en)), "places have names"


def test_the_catalogues_are_seen() -> None:
    modules = {name.rpartition(".")[0] for name in CATALOGUE}
    assert {f"fewshot_llm.{package}.words" for package in ("ladder", "export", "playground", "report")} <= modules


class TestText:
    def test_a_text_in_a_place_is_said_in_each_language(self) -> None:
        said = Text("{who} is kept", "保留{who}").fill(who=Text("zero-shot", "零样本"))
        assert (said.en, said.zh) == ("zero-shot is kept", "保留零样本")

    def test_values_with_braces_are_not_templates(self) -> None:
        assert Text("{what}", "{what}").fill(what="{0} {x}").en == "{0} {x}"

    def test_counted(self) -> None:
        one, many = Text("{n} row of {of}", "{of} 中的 {n} 行"), Text("{n} rows of {of}", "{of} 中的 {n} 行")
        assert [counted(n, one, many, of="a").en for n in (0, 1, 2)] == ["0 rows of a", "1 row of a", "2 rows of a"]

    def test_listed(self) -> None:
        assert (listed(["a", Text("b", "乙")]).en, listed(["a", Text("b", "乙")]).zh) == ("a, b", "a、乙")
        assert listed([]).en == ""
