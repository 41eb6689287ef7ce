from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fewshot_llm.errors import ModelError
from fewshot_llm.models.cache import cache_folder, cached_sha256, folder_size
from fewshot_llm.models.catalog import gguf_path, list_models, show_model
from fewshot_llm.models.licence import ask_on_terminal, terms_text
from fewshot_llm.models.registry import EMBEDDED, find_model, resolve_auto


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


def test_hashes_are_kept_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "cache"))
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    first = cached_sha256(path)
    hashes = tmp_path / "cache" / "hashes.json"
    kept = json.loads(hashes.read_text())
    hashes.write_text(json.dumps(dict.fromkeys(kept, "from the cache")))
    assert cached_sha256(path) == "from the cache"
    path.write_bytes(b"other")
    assert cached_sha256(path) not in ("from the cache", first)
    hashes.write_text("damaged")
    assert len(cached_sha256(path)) == 64


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
