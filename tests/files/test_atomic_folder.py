from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from fewshot_llm.errors import AdapterError, BusyError
from fewshot_llm.files import atomic_folder, folder_lock, require_free


def fill(folder, text, **how):
    with atomic_folder(folder, owned="mark.json", **how) as partial:
        (partial / "mark.json").write_text(text)


def test_a_folder_appears_whole_and_is_replaced_whole(tmp_path):
    fill(tmp_path / "a" / "b", "1")
    fill(tmp_path / "a" / "b", "2", overwrite=True)
    assert (tmp_path / "a" / "b" / "mark.json").read_text() == "2"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path, stop):
    fill(tmp_path / "b", "1")

    def half() -> None:
        with atomic_folder(tmp_path / "b", owned="mark.json", overwrite=True) as partial:
            (partial / "half").write_text("half")
            raise stop

    with pytest.raises(type(stop)):
        half()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b" / "mark.json").read_text() == "1"


def test_what_is_in_use_is_refused(tmp_path):
    fill(tmp_path / "mine", "1")
    with pytest.raises(AdapterError, match="is there already"):
        fill(tmp_path / "mine", "2")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.doc").write_text("years of work")
    with pytest.raises(AdapterError, match="something else"):
        fill(tmp_path / "other", "2", overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(AdapterError, match="something else"):
        require_free(tmp_path / "file", owned="mark.json", overwrite=True)
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "empty", "1")


def test_two_at_once_are_refused_and_what_came_meanwhile_is_not_replaced(tmp_path):
    with folder_lock(tmp_path / "b"), ThreadPoolExecutor(1) as pool:
        with pytest.raises(BusyError, match="in use by process"):
            pool.submit(fill, tmp_path / "b", "2").result()
        fill(tmp_path / "b", "1")

    def slow() -> None:
        with atomic_folder(tmp_path / "c", owned="mark.json") as partial:
            (partial / "mark.json").write_text("late")
            (tmp_path / "c").mkdir()
            (tmp_path / "c" / "mark.json").write_text("first")

    with pytest.raises(AdapterError, match="is there already"):
        slow()
    assert (tmp_path / "c" / "mark.json").read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]
