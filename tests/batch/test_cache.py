from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from fewshot_llm.batch import ResultCache
from fewshot_llm.errors import BatchError


def opened(path: Path, name: str = "job", *, resume: bool = False, lag: int = 1) -> ResultCache:
    return ResultCache(path, name, resume=resume, lag=lag)


def test_a_shard_sees_only_shards_that_are_surely_finished(tmp_path: Path) -> None:
    cache = opened(tmp_path / "c.sqlite", lag=3)
    cache.store({b"k": "answer"}, shard=4)
    assert cache.find([b"k", b"other"], shard=7) == {b"k": "answer"}
    assert cache.find([b"k"], shard=6) == {}
    cache.close()


def test_a_job_sees_what_others_had_stored_before_it_began_and_nothing_later(tmp_path: Path) -> None:
    first = opened(tmp_path / "c.sqlite", "first")
    first.store({b"early": "1"}, shard=0)
    second = opened(tmp_path / "c.sqlite", "second")
    first.store({b"late": "2"}, shard=1)
    assert second.find([b"early", b"late"], shard=0) == {b"early": "1"}
    second.close()
    again = opened(tmp_path / "c.sqlite", "second", resume=True)
    assert again.find([b"early", b"late"], shard=0) == {b"early": "1"}
    anew = opened(tmp_path / "c.sqlite", "second")
    assert anew.find([b"early", b"late"], shard=0) == {b"early": "1", b"late": "2"}
    for cache in (first, again, anew):
        cache.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=4), min_size=1, max_size=6), st.integers(1, 3))
def test_what_a_shard_finds_does_not_depend_on_crashes(
    tmp_path_factory: pytest.TempPathFactory, shards: list[list[int]], lag: int
) -> None:
    """Every shard is begun, stored and begun again, as after a crash before the journal's line: it finds the same."""
    path = tmp_path_factory.mktemp("cache") / "c.sqlite"
    calm = opened(path.with_name("calm.sqlite"), lag=lag)
    torn = opened(path, lag=lag)
    for number, keys in enumerate(shards):
        names = [bytes([key]) for key in keys]
        expected = calm.find(names, number)
        calm.store({key: f"{number}" for key in names if key not in expected}, number)
        for _ in range(2):
            assert torn.find(names, number) == expected
            torn.store({key: f"{number}" for key in names if key not in expected}, number)
            torn.close()
            torn = opened(path, resume=True, lag=lag)
    calm.close()
    torn.close()


def test_a_file_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(BatchError, match=r"result cache .* cannot be used"):
        opened(tmp_path / "c.sqlite")
