from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fewshot_llm.errors import ModelError
from fewshot_llm.models import (
    EMBEDDED,
    SMALL,
    ask_on_terminal,
    cache_folder,
    cached_sha256,
    find_model,
    folder_size,
    gguf_path,
    list_models,
    resolve_auto,
    show_model,
    terms_text,
)


def test_registry_entries_are_pinned() -> None:
    assert {"smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b"} <= set(EMBEDDED)
    for name, model in EMBEDDED.items():
        assert name == model.name
        assert re.fullmatch("[0-9a-f]{64}", model.sha256)
        assert model.parts
        assert all(re.fullmatch(r"\d+(\.\d+)+", part.version) for part in model.parts)
        assert model.licence.url.startswith("https://")
        assert (model.licence.terms is None) == (model.licence.terms_sha256 == "")


def test_a_third_partys_package_is_called_so() -> None:
    assert "third party" in find_model("qwen2.5-coder-0.5b").note


@pytest.mark.parametrize(("language", "name"), [("en", "smollm2-135m"), ("en-GB", "smollm2-135m")])
def test_auto_for_english(language: str, name: str) -> None:
    assert resolve_auto(language) == name


@pytest.mark.parametrize("language", ["zh", "zh-CN", "de", "auto"])
def test_auto_otherwise(language: str) -> None:
    assert resolve_auto(language) == "gemma3-270m"


def test_an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path))
    assert cache_folder() == tmp_path
    assert [status.cached for status in list_models()] == [False] * len(EMBEDDED)
    shown = show_model("gemma3-270m")
    assert shown["licence_must_be_accepted"] is True
    assert (shown["cached"], shown["bytes_on_disk"]) == (False, 0)
    json.dumps(shown)
    with pytest.raises(ModelError, match="models pull gemma3-270m"):
        gguf_path("gemma3-270m")


def test_the_gguf_file_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found 0"):
        gguf_path(str(tmp_path))
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    assert gguf_path(str(tmp_path)) == gguf_path(str(tmp_path / "a.gguf")) == tmp_path / "a.gguf"


def test_hashes_of_large_files_are_kept_until_they_are_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "cache"))
    path = tmp_path / "weights"
    path.write_bytes(b"one" * SMALL)
    first = cached_sha256(path)
    hashes = tmp_path / "cache" / "hashes.json"
    kept = json.loads(hashes.read_text())
    kept[str(path)]["sha256"] = "0" * 64
    hashes.write_text(json.dumps(kept))
    assert cached_sha256(path) == "0" * 64  # not read again

    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"O")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cached_sha256(path) not in ("0" * 64, first)

    changed = cached_sha256(path)
    for damage in ("damaged", "[1]", '{"a": 1}', json.dumps({str(path): {"sha256": 1, "seen": []}}), "[" * 100_000):
        hashes.write_text(damage)
        assert cached_sha256(path) == changed
        assert json.loads(hashes.read_text())[str(path)]["sha256"] == changed


def test_small_files_are_read_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "cache"))
    path = tmp_path / "config.json"
    path.write_bytes(b"one")
    assert cached_sha256(path) == hashlib.sha256(b"one").hexdigest()
    assert not (tmp_path / "cache").exists()


def test_several_processes_keep_hashes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "cache"))
    paths = [tmp_path / f"weights{number}" for number in range(4)]
    for path in paths:
        path.write_bytes(path.name.encode() * SMALL)
    code = "import sys; from pathlib import Path; from fewshot_llm.models.cache import cached_sha256 as of\n"
    code += "for _ in range(5): print(*(of(Path(path)) for path in sys.argv[1:]))"
    running = [
        subprocess.Popen([sys.executable, "-c", code, *map(str, paths)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    expected = " ".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    for process in running:
        out, _ = process.communicate(timeout=300)
        assert set(out.splitlines()) == {expected}
    assert isinstance(json.loads((tmp_path / "cache" / "hashes.json").read_text()), dict)


def test_size_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_bytes(b"12345")
    assert folder_size(tmp_path) == 5
    assert folder_size(tmp_path / "absent") == 0


def test_terms_become_readable_text() -> None:
    page = "<head><style>p{}</style></head><p>Menu</p><article><h1>T &amp; C</h1><p>One\n two.<br>Three</p></article>"
    assert terms_text(page) == "T & C\n\nOne two.\n\nThree"
    assert terms_text("<p>No article</p>") == "No article"


def test_nobody_is_asked_without_a_terminal() -> None:
    assert ask_on_terminal(find_model("gemma3-270m"), "terms") is None
