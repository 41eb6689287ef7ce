"""A template of a stranger ends soon, stays small, and reads no file but its own."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fewshot_llm.data import Task, list_tasks, load_task
from fewshot_llm.errors import FewshotError, TaskError, TemplateError
from fewshot_llm.prompting import MOST_SOURCE, Fields, Template, TemplateContext, compile_template, load_template

FACTS = TemplateContext("Do it.", ("good", "bad"), "en")
SECONDS = 1.0


def render(inside: str, body: str = "", demonstrations: int = 0) -> str:
    source = (
        "{% macro item(example, answer) %}" + inside + "{{ example.text }}{{ answer }}\n{% endmacro %}\n"
        "{% for d in demonstrations %}{{ item(d.example, d.answer) }}{% endfor %}" + body + "{{ item(query, answer) }}"
    )
    template = Template.from_source(source)
    shown = [Fields({"text": "shown"})] * demonstrations
    return template.frame(FACTS, shown, Fields({"text": "asked"})).lead


def refused(inside: str, body: str = "") -> str:
    took = []
    while len(took) < 3 and min(took, default=SECONDS) >= SECONDS:  # a crowded machine inflates processor time, too
        started = time.thread_time()
        with pytest.raises(TemplateError) as caught:
            render(inside, body)
        took.append(time.thread_time() - started)
    assert min(took) < SECONDS
    assert "inline" in str(caught.value)
    assert len(str(caught.value)) < 1000
    return str(caught.value)


DOUBLED = "{% set x = ('a',) %}" + "{% set x = (x, x) %}" * 60

EXPRESSIONS = [
    ("range(10**9)", "range"),
    ("range(0, 10**30, 10**29)|list", "range"),
    ("'x' * 10**9", "repetition"),
    ("10**9 * 'x'", "repetition"),
    ("[0] * 10**9", "repetition"),
    ("(labels * 10**8)|length", "repetition"),
    ("(10**100) ** 100", "digits"),
    ("2 ** (10**9)", "digits"),
    ("('9' * 4000)|int * ('9' * 4000)|int", "digits"),
    ("('f' * 100000)|int(0, 16) // 7", "digits"),
    ("('f' * 100000)|int(0, 16) is divisibleby 7", "digits"),
    ("1.5|round(10**9, 'ceil')", "round"),
    ("'%0999999999d' % 1", "width"),
    ("'%.999999999f' % 1.5", "width"),
    ("'%*d' % (999999999, 1)", "width"),
    ("'%((a))9999999999d' % {'(a)': 1}", "width"),
    ("'%999999999d'|format(1)", "width"),
    ("('%(a)s' * 10000)|format(a='x' * 100000)", "format"),
    ("('%9999d' * 10000)|format(*range(10000))", "format"),
    ("'{:>999999999}'.format(1)", "width"),
    ("'{:{}}'.format(1, 999999999)", "width"),
    ("'{x:999999999}'.format_map({'x': 1})", "width"),
    ("('{0}' * 10000).format('x' * 100000)", "more than"),
    ("'x'|center(10**9)", "center"),
    ("'x'.center(10**9)", "center"),
    ("'x'.ljust(10**9)", "ljust"),
    ("'x'.zfill(10**9)", "zfill"),
    ("'a\tb'.expandtabs(10**9)", "expandtabs"),
    ("'x'|attr('rjust')(10**9)", "rjust"),
    ("'a\nb'|indent(10**9)", "indent"),
    ("('x y ' * 100000)|wordwrap(1, wrapstring='z' * 10000)", "wordwrap"),
    ("('x' * 1000)|join('y' * 100000)", "join"),
    ("range(100000)|join('y' * 100000)", "join"),
    ("('y' * 100000).join('x' * 1000)", "join"),
    ("[1, 2]|batch(10**9, 'x')|list", "batch"),
    ("range(10)|slice(10**9)|list", "slice"),
    ("('a' * 100000)|replace('', 'b' * 100000)", "replace"),
    ("('a' * 100000).replace('a', 'b' * 100000)", "replace"),
    ("('a' * 300000).split('a')|length", "split"),
    ("('<a>' * 50000)|striptags", "striptags"),
    ("[1]|tojson(indent=10**9)", "tojson"),
    ("([[1]] * 1000)|sum(start=[])", "sum"),
    ("range(100000)|map('string')|map('center', 9999)|join|length", "more than"),
    ("range(100000)|groupby('real')|list|length", "groupby"),
    ("'abc'.translate({97: 'x' * 10000})", "translate"),
    ("lipsum(n=10**6)", "lipsum"),
    ("cycler('a')", "cycler"),
    ("joiner(',')", "joiner"),
    ("namespace(x='x')", "namespace"),
    ("1e999", "too large"),
    ("range(1000)|groupby('real' ~ '.real' * 1000)|length", "groupby"),
    ("range(10000)|map(attribute='real' ~ '.real' * 1000)|list|length", "more than"),
    ("range(10000)|map('string')|map(attribute='x' ~ '.x' * 1000, default='')|list|length", "more than"),
    ("range(10000)|selectattr('real' ~ '.real' * 10000)|list|length", "selectattr"),
    ("range(10000)|sort(attribute=('real' ~ '.real' * 100 ~ ',') * 100)|length", "sort"),
    ("range(10000)|sum(attribute='real' ~ '.real' * 10000)", "sum"),
]


@pytest.mark.parametrize(("expression", "named"), EXPRESSIONS)
def test_an_expression_that_makes_too_much(expression: str, named: str) -> None:
    assert named in refused("{{ " + expression + " }}")
    if "labels" not in expression:
        assert named in refused("", "{% set x = " + expression + " %}")


PROGRAMS = {
    "text doubled by ~": "{% set x = 'x' %}" + "{% set x = x ~ x %}" * 40,
    "text doubled by +": "{% set x = 'x' %}" + "{% set x = x + x %}" * 40,
    "list doubled": "{% set x = ['a'] %}" + "{% set x = [x, x] %}" * 60,
    "list doubled by *": "{% set x = ['a'] %}" + "{% set x = [x] * 2 %}" * 60,
    "mapping doubled": "{% set x = {} %}" + "{% set x = {1: x, 2: x} %}" * 60,
    "tuple doubled and hashed": DOUBLED + "{{ {x: 1} }}",
    "tuple doubled and compared": DOUBLED + "{{ x == (x, x) }}",
    "loop in loop in loop": "{% for i in range(100000) %}{% for j in range(100000) %}{% for k in range(100000) %}"
    "{% endfor %}{% endfor %}{% endfor %}",
    "a loop's condition": "{% for i in range(100000) %}{% for j in range(100000) if false %}{% endfor %}{% endfor %}",
    "text in a loop": "{% for i in range(100000) %}" + "x" * 20000 + "{% endfor %}",
    "a list in a loop": "{% for i in range(100000) %}{% set x = [" + "1, " * 2000 + "] %}{% endfor %}",
    "slices in a loop": "{% set x = 'x' * 1000000 %}{% for i in range(100000) %}{% set y = x[1:] %}{% endfor %}",
    "spaces in a loop": "{% set x = ' ' * 1000000 %}{% for i in range(1000) %}{% set y = x|oneline %}{% endfor %}",
    "a block set in a loop": "{% for i in range(100000) %}{% set x %}{% for j in range(100000) %}y{% endfor %}"
    "{% endset %}{% endfor %}",
    "a recursive loop": "{% for i in range(100) recursive %}{% if loop.depth < 10 %}{{ loop(range(100)) }}{% endif %}"
    "{% endfor %}",
    "an endless recursive loop": "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "a filter's block": "{% filter center(10**9) %}x{% endfilter %}",
    "compared in a loop": "{% set x = ['x' * 1000] * 500 %}{% set y = ['x' * 1000] * 500 %}"
    "{% for i in range(100000) %}{% if x == y %}{% endif %}{% endfor %}",
}

MACROS = {
    "a macro without end": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a macro that calls itself twice": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(60) }}",
    "text doubled by a macro": "{% macro f(x, n) %}{{ f(x ~ x, n - 1) if n else x }}{% endmacro %}{{ f('x', 60) }}",
    "arguments doubled by a macro": "{% macro f(n) %}{% if n %}{{ f(n - 1, varargs, varargs) }}{% else %}{{ varargs }}"
    "{% endif %}{% endmacro %}{{ f(60) }}",
    "callers in callers": "{% macro f() %}{% for i in range(1000) %}{{ caller() }}{% endfor %}{% endmacro %}"
    "{% call f() %}{% call f() %}{% call f() %}x{% endcall %}{% endcall %}{% endcall %}",
    "a block in itself": "{% block a %}{{ self.a() }}{{ self.a() }}{% endblock %}",
    "loops in a scoped block": "{% for k in range(100000) %}{% block a scoped %}{% for i in range(10000) %}{% endfor %}"
    "{% endblock %}{% endfor %}",
    "many arguments to a loop's cycle": "{% for i in range(100000) %}{{ loop.cycle(*range(100000)) }}{% endfor %}",
    "many arguments to a macro": "{% macro f() %}{{ varargs|length }}{% endmacro %}"
    "{% for i in range(100000) %}{{ f(*range(100000)) }}{% endfor %}",
    "many arguments to a filter": "{% set f = '%s' * 100000 %}{% for i in range(100000) %}"
    "{{ f|format(*range(100000)) }}{% endfor %}",
    "many arguments to format": "{% for i in range(100000) %}{{ 'x'.format(*range(100000)) }}{% endfor %}",
    "a macro's default": "{% macro z(a='x' * 10**9) %}{% endmacro %}{{ z() }}",
}


@pytest.mark.parametrize("name", [*PROGRAMS, *MACROS])
def test_a_program_that_does_too_much(name: str) -> None:
    message = refused("", {**PROGRAMS, **MACROS}[name])
    assert re.search("would make|more than|too deeply", message), message
    if name in PROGRAMS:
        refused(PROGRAMS[name])


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 20000 + "1" + ")" * 20000 + " }}",
        "{{ " + "[" * 5000 + "]" * 5000 + " }}",
        "{{ " + "[" * 300 + "]" * 300 + " }}",
        "{{ " + "not " * 10000 + "1 }}",
        "{{ 1" + "+1" * 9000 + " }}",
        "{{ 1" + "|string" * 3000 + " }}",
        "{{a}}" * 9000,
        "{% if 1 %}" * 2000 + "{% endif %}" * 2000,
        "{% for i in [1] %}" * 30 + "{% endfor %}" * 30,
        "{{ " + "9" * 5000 + " }}",
        "x" * (MOST_SOURCE + 1),
        "{% autoescape true %}{% endautoescape %}",
    ],
    ids=lambda source: source[:24].strip(),
)
def test_source_that_is_too_much_to_compile(source: str) -> None:
    refused("", source)


@pytest.mark.parametrize("body", ["{{ 'xxxx'|truncate(1) }}", "{% set x.y = 1 %}"])
def test_what_jinja_only_asserts(body: str) -> None:
    refused("", body)


def test_nothing_is_computed_before_rendering() -> None:
    started = time.thread_time()
    compile_template(
        "t", "{% macro item(example, answer) %}{{ example.text }}{{ answer }}{% endmacro %}"
        "{% if false %}{{ 'x' * 10**9 }}{% endif %}{{ item(query, answer) }}",
    )  # fmt: skip
    assert time.thread_time() - started < 0.2


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        ("'%05.1f|%s' % (2.25, 'x')", "002.2|x"),
        ("'%-4d|'|format(7)", "7   |"),
        ("'{:>4}|{a}'.format(1, a='b')", "   1|b"),
        ("'{a}'.format_map({'a': 1})", "1"),
        ("'x'|center(5)", "  x  "),
        ("'-' * 5", "-----"),
        ("2 ** 10 // 3 % 7 - 1", "4"),
        ("labels|join(', ')", "good, bad"),
        ("labels|map('upper')|join('/')", "GOOD/BAD"),
        ("labels|sort|first ~ '!' ~ labels|length", "bad!2"),
        ("labels[1:]|list|tojson", '["bad"]'),
        ("'a b'.split()|join('-')", "a-b"),
        ("{'a': 1}.items()|list|string", "[('a', 1)]"),
        ("'good' in labels and 'a' is eq 'a'", "True"),
        ("[[1, 2], [3]]|sum(start=0)|default('x') if false else [3, 1]|sum", "4"),
        ("range(3)|batch(2, 0)|map('join')|join(';')", "01;20"),
        ("'a\nb'|indent(2)", "a\n  b"),
        ("'long text here'|truncate(9, leeway=0)", "long..."),
        ("'long text here'|wordwrap(5)", "long\ntext\nhere"),
        ("'<b>x</b>'|striptags", "x"),
        ("'a'|replace('a', 'bb')", "bb"),
    ],
)
def test_ordinary_expressions_keep_their_values(expression: str, printed: str) -> None:
    assert render("", "{{ " + expression + " }}") == printed


def test_many_demonstrations_and_long_texts_are_not_too_much() -> None:
    template = load_template(load_task("review-sentiment"), "en")
    shown = [Fields({"text": "good quality " * 20, "title": "t"})] * 3000
    assert len(template.frame(FACTS, shown, Fields({"text": "q", "title": ""})).befores) == 3000
    long = Fields({"text": "word " * 400_000, "title": ""})
    assert len(template.item(FACTS, long).before) > 1_999_000


def test_rendering_is_not_slower_than_in_an_unbounded_sandbox(capsys: pytest.CaptureFixture[str]) -> None:
    plain = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    spaces = re.compile(r"\s+")
    plain.filters["oneline"] = lambda text: spaces.sub(" ", str(text)).strip()
    text = "Arrived on time, the zip broke in a week; 客服态度很好，下次还会再来。"
    pairs = []
    for name in list_tasks():
        task = load_task(name)
        for language in task.languages:
            source = load_template(task, language).source
            example = Fields({"text": text} | dict.fromkeys(task.fields, text))
            names = {
                "instruction": "Do it.",
                "labels": ("good", "bad"),
                "descriptions": {"good": "the customer is pleased"},
                "language": language,
                "demonstrations": [{"example": example, "answer": "good"}] * 50,
                "query": example,
                "answer": "?",
            }
            bounded, unbounded = compile_template("t", source), plain.from_string(source)
            assert bounded.render(names) == unbounded.render(names)
            pairs.append((bounded, unbounded, names))

    def seconds(which: int) -> float:
        started = time.thread_time()
        for pair in pairs:
            pair[which].render(pair[2])
        return time.thread_time() - started

    rounds = [(seconds(0), seconds(1)) for _ in range(60)]
    ratio = min(bounded for bounded, _ in rounds) / min(unbounded for _, unbounded in rounds)
    with capsys.disabled():
        print(f"\nbounded / unbounded rendering of {len(pairs)} built-in templates, 50 demonstrations: {ratio:.3f}")
    assert ratio <= 1.1


GOOD = "{% macro item(example, answer) %}{{ example.text }}: {{ answer }}\n{% endmacro %}{{ item(query, answer) }}"


class TestFiles:
    """What a stranger's task folder may make the program read."""

    def folder(self, tmp_path: Path, template: str | None = GOOD) -> Path:
        folder = tmp_path / "task"
        folder.mkdir()
        (folder / "task.toml").write_text('labels = ["a", "b"]\nlanguages = ["en"]\n')
        if template is not None:
            (folder / "en.v1.jinja").write_text(template)
        return folder

    @pytest.mark.parametrize("name", ["en.v1.jinja", "task.toml"])
    def test_a_link_out_of_the_folder(self, tmp_path: Path, name: str) -> None:
        folder = self.folder(tmp_path)
        secret = tmp_path / "secret"
        secret.write_text("{{ password-of-mine")
        (folder / name).unlink()
        (folder / name).symlink_to(secret)
        with pytest.raises((TaskError, TemplateError), match=f"{name}.*outside") as caught:
            load_template(load_task(folder), "en")
        assert "password" not in str(caught.value)

    def test_a_link_inside_the_folder_and_a_linked_folder(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path)
        (folder / "en.v2.jinja").symlink_to("en.v1.jinja")
        (tmp_path / "link").symlink_to(folder)
        assert load_template(load_task(tmp_path / "link"), "en").source == GOOD

    @pytest.mark.parametrize("name", ["en.v1.jinja", "task.toml"])
    def test_a_pipe_that_nobody_writes_to(self, tmp_path: Path, name: str) -> None:
        folder = self.folder(tmp_path)
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(FewshotError, match=r"no ordinary file|no task\.toml"):
            load_template(load_task(folder), "en")

    @pytest.mark.parametrize("name", ["en.v1.jinja", "task.toml"])
    def test_a_file_that_is_far_too_large(self, tmp_path: Path, name: str) -> None:
        folder = self.folder(tmp_path)
        with (folder / name).open("wb") as file:
            file.truncate(5_000_000_000)
        with pytest.raises((TaskError, TemplateError), match="bytes"):
            load_template(load_task(folder), "en")

    def test_a_task_nested_too_deeply(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path)
        (folder / "task.toml").write_text("labels = " + "[" * 5000 + "]" * 5000)
        with pytest.raises(TaskError, match="TOML"):
            load_task(folder)

    def test_a_task_made_in_python_names_no_folder_to_read_from(self) -> None:
        task = Task(name="../../etc", labels=("a", "b"))
        with pytest.raises(TemplateError, match="no template"):
            load_template(task, "en")
