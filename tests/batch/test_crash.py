"""kill -9 at random moments, and every writing system call failing in turn: nothing lost, nothing twice."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from fewshot_llm.batch import ERRORS, JOURNAL, Disk, FileSource, Journal, Output, Settings, run_batch
from fewshot_llm.errors import BatchError
from tests.batch.helpers import contents, read_errors, write_jsonl
from tests.batch.stand_in import StandIn

ROOT = Path(__file__).parents[2]


class FaultyDisk(Disk):
    """The n-th writing system call fails: cleanly, after a part of its work, or after all of it."""

    def __init__(self, fail_at: int, kind: str) -> None:
        self.calls = 0
        self.fail_at = fail_at
        self.kind = kind

    def _fails(self) -> bool:
        self.calls += 1
        return self.calls == self.fail_at

    def write(self, descriptor: int, data: memoryview) -> int:
        if not self._fails():
            return super().write(descriptor, data)
        if self.kind == "short":  # allowed: a write may take less than it was given
            return super().write(descriptor, data[: max(1, len(data) // 3)])
        if self.kind == "torn":
            super().write(descriptor, data[: len(data) // 2])
        elif self.kind == "late":
            super().write(descriptor, data)
        raise OSError(errno.ENOSPC, "No space left on device")

    def fsync(self, descriptor: int) -> None:
        # Nothing here has to survive a power cut, so nothing is synced; only the failure is played.
        if self._fails() and self.kind != "short":
            raise OSError(errno.EIO, "Input/output error")

    def rename(self, source: Path, target: Path) -> None:
        fails = self._fails()
        if not fails or self.kind in ("late", "short"):
            super().rename(source, target)
        if fails and self.kind != "short":
            raise OSError(errno.EIO, "Input/output error")

    def truncate(self, descriptor: int, length: int) -> None:
        fails = self._fails()
        if not fails or self.kind in ("late", "short"):
            super().truncate(descriptor, length)
        if fails and self.kind != "short":
            raise OSError(errno.EIO, "Input/output error")


def _job(path: Path, output: Path, disk: Disk, cache: Path | None = None) -> None:
    source = FileSource((("in.jsonl", path),))
    where = Output(output, "parquet", 4, resume=True)
    run_batch(StandIn(), source, where, Settings({"text": "text"}), disk=disk, cache=cache)


def _run_until_done(path: Path, output: Path, faults: list[tuple[int, str]]) -> int:
    """Resume after each fault until the job is complete; how many runs failed."""
    failed = 0
    for fail_at, kind in faults:
        try:
            _job(path, output, FaultyDisk(fail_at, kind))
        except OSError:
            failed += 1
    _job(path, output, FaultyDisk(0, "clean"))
    return failed


class Undisturbed:
    """What a job leaves when nothing fails. No dataclass: hypothesis would print every byte of it."""

    def __init__(self, path: Path, contents: dict[str, bytes], calls: int) -> None:
        self.path, self.contents, self.calls = path, contents, calls


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    rows = [{"text": "" if i % 5 == 2 else f"text {i % 9}"} for i in range(10)]
    path = write_jsonl(folder / "in.jsonl", rows)
    counting = FaultyDisk(0, "clean")
    _job(path, folder / "out", counting, folder / "cache.sqlite")
    return Undisturbed(path, contents(folder / "out"), counting.calls)


def test_every_writing_call_may_fail(undisturbed: Undisturbed, tmp_path: Path) -> None:
    path, expected, calls = undisturbed.path, undisturbed.contents, undisturbed.calls
    assert calls > 20
    for fail_at in range(1, calls + 1):
        for kind in ("clean", "torn", "late"):
            output = tmp_path / f"{fail_at}-{kind}"
            assert _run_until_done(path, output, [(fail_at, kind)]) == 1
            assert contents(output) == expected, (fail_at, kind)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["clean", "torn", "late", "short"])), max_size=6))
def test_any_run_of_faults_ends_in_the_same_bytes(
    undisturbed: Undisturbed,
    tmp_path_factory: pytest.TempPathFactory,
    faults: list[tuple[int, str]],
) -> None:
    path, expected = undisturbed.path, undisturbed.contents
    output = tmp_path_factory.mktemp("faults") / "out"
    _run_until_done(path, output, faults)
    assert contents(output) == expected


@given(st.integers(0, 2000), st.binary(max_size=40))
@example(1, b" \n")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_torn_journal_resumes_or_is_refused(
    undisturbed: Undisturbed,
    tmp_path_factory: pytest.TempPathFactory,
    cut: int,
    rubbish: bytes,
) -> None:
    """Whatever a crash leaves at the journal's end: completed to the same bytes, or refused; never silently wrong."""
    path, expected = undisturbed.path, undisturbed.contents
    folder = tmp_path_factory.mktemp("torn")
    output, cache = folder / "out", folder / "cache.sqlite"
    shutil.copy(path.parent / "cache.sqlite", cache)
    output.mkdir()
    for name, data in expected.items():
        (output / name).write_bytes(data)
    journal = expected[JOURNAL]
    (output / JOURNAL).write_bytes(journal[: len(journal) - min(cut, len(journal) - 1)] + rubbish)
    with contextlib.suppress(BatchError):
        _job(path, output, Disk(), cache)
        assert contents(output) == expected


def test_errors_are_cut_back_to_what_the_journal_knows(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": ""}] * 6)
    _job(path, tmp_path / "out", Disk())
    lines = (tmp_path / "out" / JOURNAL).read_bytes().splitlines(keepends=True)
    (tmp_path / "out" / JOURNAL).write_bytes(b"".join(lines[:2]))
    with (tmp_path / "out" / ERRORS).open("ab") as stream:
        stream.write(b'{"row": 99, "torn')
    _job(path, tmp_path / "out", Disk())
    assert [error["row"] for error in read_errors(tmp_path / "out")] == list(range(6))


def test_a_journal_of_a_later_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text('{"job": {"format": 2}}\n')
    with pytest.raises(BatchError, match="format was 2 and is 1"):
        Journal.resume(tmp_path, {}, Disk())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="attempts are forked")
def test_25_kills_with_a_real_model(tmp_path: Path, tiny_model_folder: Path) -> None:
    command = [sys.executable, ROOT / "eval" / "speed" / "batch_kill.py", "--model", tiny_model_folder]
    command += ["--kills", "25", "--rows", "1500", "--rows-per-shard", "50", "--folder", tmp_path]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["identical"]
    errors = read_errors(tmp_path / "killed")
    assert outcome["rows"] == outcome["distinct_rows"] == 1500 - len(errors)
    assert len(errors) == len({error["row"] for error in errors}) == 16
    assert outcome["while_running"] >= 10
