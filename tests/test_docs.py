"""The documentation: every block runs or parses, the two languages are twins, links lead somewhere."""

from __future__ import annotations

import doctest
import importlib.util
import pkgutil
import posixpath
import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

import fewshot_llm
from tests import doc_blocks
from tests.doc_blocks import BLOCK, arguments, blocks, check_options, run_page, statements
from tests.test_readme import LINK, ROOT, stand_in_home as stand_in_home

DOCS = ROOT / "docs"
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
RUN_ELSEWHERE = {"shop.md", "shop.zh.md"}  # tests/test_shop_pages.py runs them as a reader would
RUN = [
    page
    for page in PAGES
    if page not in RUN_ELSEWHERE and {block.language for block in blocks(DOCS / page)} & {"sh", "python"}
]
TWINS = [page for page in PAGES if page.endswith(".zh.md") and page not in RUN_ELSEWHERE]


@pytest.mark.parametrize("page", RUN)
def test_blocks_run(page: str, tmp_path: Path, stand_in_home: Path) -> None:
    """With a tiny model under the names of the embedded ones."""
    folder = tmp_path / "reader"
    folder.mkdir()
    run_page(DOCS / page, folder)


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `fewshot-llm …` in a shell block has a command, options and choices that the program knows."""
    monkeypatch.chdir(tmp_path)
    for block in blocks(DOCS / page):
        if block.language in {"sh", "bash"}:
            for statement in statements(block.text):
                if (given := arguments(statement)) is not None:
                    check_options(given, tmp_path)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("classify review-sentiment --support a.csv --input b.csv --output c.csv --shotz 2", "--shotz"),
        ("classify review-sentiment --support a.csv --input b.csv --output c.csv --selection nearst", "nearst"),
        ("classify review-sentiment --support a.csv --input b.csv", "output"),
        ("export adapters/a --to gguf --out served", "gguf-lora"),
        ("clasify review-sentiment", "clasify"),
    ],
)
def test_a_wrong_command_is_found(
    command: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=complaint):
        check_options(command.split(), tmp_path)


def test_examples_of_the_block_reader_hold() -> None:
    assert doctest.testmod(doc_blocks) == (0, 2)


@pytest.mark.parametrize("page", PAGES)
def test_blocks_have_a_known_language(page: str) -> None:
    known = {"sh", "bash", "python", "toml", "jinja", "text", "csv", "json"}
    assert {block.language for block in blocks(DOCS / page)} <= known


@pytest.mark.parametrize("page", TWINS)
def test_chinese_page_is_a_twin(page: str) -> None:
    """The same headings, blocks and commands in the same order, though their texts differ."""

    def skeleton(name: str) -> list[str]:
        text = (DOCS / name).read_text(encoding="utf-8")
        headings = re.findall(r"^(#+) ", BLOCK.sub("", text), re.MULTILINE)
        commands = [
            " ".join(word for word in given if word.startswith("-") and word not in {"--report-lang", "--lang"})
            for block in blocks(DOCS / name)
            if block.language in {"sh", "bash"}
            for statement in statements(block.text)
            if (given := arguments(statement)) is not None
        ]
        return [*headings, *(block.language for block in blocks(DOCS / name)), *commands]

    assert skeleton(page) == skeleton(page.replace(".zh.md", ".md"))


def test_tutorial_and_how_to_are_in_both_languages() -> None:
    english = {page for page in PAGES if page.startswith(("tutorial", "how-to", "index")) and ".zh." not in page}
    assert {page.replace(".md", ".zh.md") for page in english} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in LINK.findall(BLOCK.sub("", (DOCS / page).read_text(encoding="utf-8"))):
        if "://" not in target:
            place = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
            assert (DOCS / place).exists(), f"{page} links to {target}"


@pytest.mark.parametrize("page", PAGES)
def test_files_from_outside_have_no_relative_links(page: str) -> None:
    """They are read at two places, on their own and inside a page: a relative link is wrong at one of them."""
    for path in re.findall(r"^<!-- file: (\S+) -->$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE):
        text = (ROOT / path).read_text(encoding="utf-8")
        relative = [target for target in re.findall(LINK, text) if not str(target).startswith(("http", "#"))]
        assert not relative, f"{path} links to {relative}: write the path in backticks"


def test_navigation_names_every_page() -> None:
    """Both ways: a page that no menu leads to is not read, and a menu entry without a page is an error."""
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    listed = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", menu, re.MULTILINE)
    assert sorted(listed) == [page for page in PAGES if not page.endswith(".zh.md")]


def test_reference_names_what_exists_and_all_that_is_public() -> None:
    """Every `::: name` can be imported, and every name at the root of the package is among them."""
    pages = [(DOCS / page).read_text(encoding="utf-8") for page in PAGES if page.startswith("reference/")]
    named = [name for text in pages for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)]
    assert len(named) == len(set(named)) > 40
    found = [pkgutil.resolve_name(name) for name in named]
    assert not [name for name in fewshot_llm.__all__ if getattr(fewshot_llm, name) not in found]


def hooks() -> Any:
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(markdown: str) -> str:
    """What a reader sees of one paragraph; a link, an image, emphasis or HTML in it is an error."""
    (paragraph,) = MarkdownIt("commonmark").enable("table").parseInline(markdown)
    kinds = {token.type for token in paragraph.children or ()}
    assert kinds <= {"text", "text_special", "softbreak", "code_inline"}, f"{kinds} in {markdown!r}"
    return "".join(token.content or " " for token in paragraph.children or ())


@pytest.mark.parametrize("text", ["hub:NAME[@REV][#CONFIG][:SPLIT]", "[a](b) <br> *x* __y__ a|b &amp; ![z](q) \\_"])
def test_a_help_text_is_shown_as_it_stands(text: str) -> None:
    assert shown(hooks().escaped(text)) == text


def test_every_help_text_of_the_command_line_is_shown_as_it_stands() -> None:
    from typer.main import get_command

    from fewshot_llm.cli import make_app

    module = hooks()
    texts: list[str] = []
    commands = [one for language in ("en", "zh") for _, one in module._commands("", get_command(make_app(language)))]
    for command in commands:
        texts += [one for one in (command.help or "").split("\n\n") if one.strip()]
        texts += [parameter.help for parameter in command.params if getattr(parameter, "help", None)]
        texts += [parameter.metavar for parameter in command.params if parameter.metavar]
    assert len(texts) > 400
    for text in texts:
        plain = " ".join(text.split())
        assert shown(module.escaped(plain, in_table=False)) == plain.replace("`", "")


def test_hooks_write_the_command_line_and_mend_the_text() -> None:
    module = hooks()
    assert doctest.testmod(module).failed == 0
    text = module.command_line()
    for command in ("classify", "models pull", "export"):
        assert f"\n## {command}\n" in f"\n{text}"
    assert "| `--to` `peft` `merged`" in text
    assert "| `--shots` K | Demonstrations" in text
    text = module.command_line("zh")
    assert "| `--shots` K | 样例数量" in text
    assert "默认：`4`。 |" in text
