"""One process at a time, told by name; what a dead one left is taken over. Real processes, really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fewshot_llm.errors import BusyError
from fewshot_llm.files import Holder, atomic, holder_of, sole_writer

HOLD = """
import sys, time
from pathlib import Path
from fewshot_llm.files import sole_writer
with sole_writer(Path(sys.argv[1]), "the folder mine"):
    print("held", flush=True)
    time.sleep(120)
"""
COUNT = """
import sys
from pathlib import Path
from fewshot_llm.files import sole_writer
place = Path(sys.argv[1])
for _ in range(40):
    with sole_writer(place.with_name(".count.lock"), "the count", wait=60):
        place.write_text(str(int(place.read_text()) + 1))
"""


@contextmanager
def another_process(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """It holds the lock."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with (
        another_process(tmp_path / ".lock") as process,
        pytest.raises(BusyError) as refused,
        sole_writer(tmp_path / ".lock", "the folder mine"),
    ):
        pass
    said = str(refused.value)
    assert said.startswith(f"The folder mine is in use by process {process.pid} on ")
    assert time.strftime("%Y-%m-%d") in said
    assert f"-c {tmp_path / '.lock'}" in said
    assert "name another place" in said


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with another_process(lock) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert lock.exists()
    with sole_writer(lock, "the folder mine"):
        found = holder_of(lock)
        assert found is not None
        assert found.pid == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_threads_exclude_each_other_and_a_thread_may_nest(tmp_path: Path) -> None:
    refused: list[BaseException] = []

    def try_it() -> None:
        try:
            with sole_writer(tmp_path / ".lock", "the folder"):
                pass
        except BusyError as error:
            refused.append(error)

    with sole_writer(tmp_path / ".lock", "the folder"):
        with sole_writer(tmp_path / "." / ".lock", "the folder"):
            pass
        assert (tmp_path / ".lock").exists()
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert len(refused) == 1
    try_it()
    assert len(refused) == 1


def test_no_update_is_lost_between_processes(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", COUNT, str(count)]) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert count.read_text() == "120"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


class TestAnotherMachine:
    """Its locks cannot be seen from here: a record that says so, and signs of life or none."""

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(atomic, "SILENCE", 0.6)

    @pytest.fixture
    def record(self, tmp_path: Path) -> Path:
        path = tmp_path / ".lock.json"
        there = replace(Holder.here(), host="other-machine", boot="another-kernel", pid=77)
        path.write_text(json.dumps(asdict(there)), encoding="utf-8")
        return path

    def test_what_a_dead_process_left_is_taken_over_and_that_is_said(
        self, tmp_path: Path, record: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with sole_writer(tmp_path / ".lock", "the folder"):
            found = holder_of(tmp_path / ".lock")
            assert found is not None
            assert found.pid == os.getpid()
        assert "in use by process 77 on other-machine" in caplog.text
        assert "taken over" in caplog.text
        assert not record.exists()

    def test_a_process_that_lives_keeps_its_place(self, tmp_path: Path, record: Path) -> None:
        ended = threading.Event()

        def live() -> None:
            there = Holder(**json.loads(record.read_text(encoding="utf-8")))
            beat = 0
            while not ended.wait(0.05):
                beat += 1
                record.with_suffix(".new").write_text(json.dumps(asdict(replace(there, beat=beat))), encoding="utf-8")
                os.replace(record.with_suffix(".new"), record)

        thread = threading.Thread(target=live)
        thread.start()
        try:
            with (
                pytest.raises(BusyError, match="process 77 on other-machine"),
                sole_writer(tmp_path / ".lock", "the folder"),
            ):
                pass
        finally:
            ended.set()
            thread.join()
        assert record.exists()

    def test_a_restart_of_this_machine_ends_its_processes(self, tmp_path: Path, record: Path) -> None:
        there = replace(Holder.here(), boot="an-earlier-start")
        record.write_text(json.dumps(asdict(there)), encoding="utf-8")
        began = time.monotonic()
        with sole_writer(tmp_path / ".lock", "the folder"):
            assert time.monotonic() - began < 0.5


def test_a_holder_shows_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "BEAT", 0.02)
    with sole_writer(tmp_path / ".lock", "the folder"):
        first = holder_of(tmp_path / ".lock")
        assert first is not None
        until = time.monotonic() + 20
        while holder_of(tmp_path / ".lock") in (first, None):
            assert time.monotonic() < until
            time.sleep(0.01)
