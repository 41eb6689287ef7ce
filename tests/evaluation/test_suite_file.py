"""Suite files: what is read, what is refused; the shipped ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from fewshot_llm.errors import TaskError
from fewshot_llm.evaluation.suite import eval_folder, list_suites, load_peers, load_suite, read_data
from fewshot_llm.models import EMBEDDED
from tests.evaluation.conftest import MakeSuite


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"colour": '"red"'}, "unknown key 'colour'"),
        ({"seed": "[1]"}, "Did you mean seeds"),
        ({"shots": "[0]"}, "shots.0 = 0"),
        ({"rungs": '["lora-x"]'}, "rungs.0"),
        ({"target": "1.5"}, "target = 1.5"),
        ({"rungs": "[]", "peers": "[]"}, "nothing to measure"),
        ({"models": "[]"}, "no models"),
        ({"seeds": "[1, 1]"}, "seeds lists something twice"),
    ],
)
def test_a_bad_suite_is_refused_with_its_key(make_suite: MakeSuite, lines: dict[str, str], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        make_suite(**lines)


def test_an_unknown_key_of_the_data_is_refused(make_suite: MakeSuite) -> None:
    with pytest.raises(TaskError, match=r"data\.test_row.*Did you mean test_rows"):
        make_suite(data="test_row = 3")


def test_an_unknown_suite_is_answered_with_the_nearest() -> None:
    with pytest.raises(TaskError, match="Did you mean banking77"):
        load_suite("banking7")
    with pytest.raises(TaskError, match="There is no suite"):
        load_suite("nowhere/banking77.toml")


def test_broken_toml_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("shots = [", encoding="utf-8")
    with pytest.raises(TaskError, match=r"x\.toml is not readable TOML"):
        load_suite(path)


def test_the_fingerprint_forgets_which_cells_there_are_and_nothing_else(make_suite: MakeSuite) -> None:
    first = make_suite()
    assert make_suite(seeds="[5]", shots="[1, 2]", peers="[]").fingerprint == first.fingerprint
    assert make_suite(demonstrations="1").fingerprint != first.fingerprint
    assert make_suite(data="test_rows = 11").fingerprint != first.fingerprint


@pytest.mark.parametrize("name", list_suites())
def test_shipped_suites_name_what_there_is(name: str) -> None:
    suite = load_suite(name)
    assert suite.about
    assert set(suite.models) <= set(EMBEDDED)
    assert set(suite.peers) <= set(load_peers(eval_folder() / "peers"))
    assert suite.described_task().kind == "classification"


@pytest.mark.parametrize("name", list_suites())
def test_shipped_suites_have_their_rows(name: str, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_DATA", str(data_folder))
    suite = load_suite(name)
    data = read_data(suite.data, suite.described_task())
    assert 100 <= len(data.test) <= suite.data.test_rows
    assert not data.pool.leak_check(data.test)
    assert all(len(rows) >= min(suite.shots) for rows in data.pool.by_label().values())
