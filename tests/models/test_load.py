"""Loading from folders, from the hub's cache, with adapters; and every way in which that fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import ByT5Tokenizer, LlamaForCausalLM, T5Config, T5ForConditionalGeneration
from transformers.utils import logging as transformers_logging

from fewshot_llm.errors import AdapterError, ModelError
from fewshot_llm.files import sha256_file
from fewshot_llm.models import load_model
from tests.conftest import tiny_model, tiny_tokenizer


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "cache"))


@pytest.fixture
def copy(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A model folder that a test may damage."""
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "copy"))


@pytest.fixture
def adapter_folder(tmp_path: Path, tiny_model_folder: Path) -> Path:
    """A LoRA adapter of the tiny Llama that changes its output."""
    torch.manual_seed(1)
    base = LlamaForCausalLM.from_pretrained(tiny_model_folder)
    wrapped = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    wrapped.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([[1, 50, 60, 70]])).logits


def test_a_folder_loads_exactly(tiny_model_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loaded = load_model(str(tiny_model_folder), device="cpu")
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")
    torch.testing.assert_close(logits(loaded.model), logits(tiny_model("llama").model), rtol=0, atol=1e-6)
    assert not loaded.model.training
    assert (loaded.device.type, loaded.dtype) == ("cpu", torch.float32)
    assert loaded.sha256 == sha256_file(tiny_model_folder / "model.safetensors")
    assert (loaded.revision, loaded.adapter) == ("", "")
    assert loaded.context_length == 4096


def test_the_librarys_settings_are_as_before(tiny_model_folder: Path) -> None:
    transformers_logging.set_verbosity_info()
    try:
        load_model(str(tiny_model_folder), device="cpu")
        assert transformers_logging.get_verbosity() == transformers_logging.INFO
        assert transformers_logging.is_progress_bar_enabled()
    finally:
        transformers_logging.set_verbosity_warning()


def test_a_bfloat16_checkpoint_runs_in_float32_on_a_cpu(copy: Path) -> None:
    LlamaForCausalLM.from_pretrained(copy, dtype=torch.bfloat16).save_pretrained(copy)
    assert json.loads((copy / "config.json").read_text())["dtype"] == "bfloat16"
    loaded = load_model(str(copy), device="cpu")
    assert {weight.dtype for weight in loaded.model.parameters()} == {torch.float32}


def test_context_length_is_the_shorter_of_network_and_tokenizer(copy: Path) -> None:
    tokenizer = tiny_tokenizer(bos=True)
    tokenizer.save_pretrained(copy)
    settings = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 777}))
    assert load_model(str(copy), device="cpu").context_length == 777


def test_several_weight_files_have_one_hash(copy: Path) -> None:
    model = LlamaForCausalLM.from_pretrained(copy)
    (copy / "model.safetensors").unlink()
    model.save_pretrained(copy, max_shard_size="50KB")
    assert len(list(copy.glob("*.safetensors"))) > 1
    first = load_model(str(copy), device="cpu")
    torch.testing.assert_close(logits(first.model), logits(model), rtol=0, atol=1e-6)
    assert len(first.sha256) == 64
    assert load_model(str(copy), device="cpu").sha256 == first.sha256


def test_changed_weights_change_the_hash(copy: Path) -> None:
    before = load_model(str(copy), device="cpu")
    model = LlamaForCausalLM.from_pretrained(copy)
    with torch.no_grad():
        model.model.norm.weight.add_(0.5)
    model.save_pretrained(copy)
    after = load_model(str(copy), device="cpu")
    assert before.fingerprint != after.fingerprint


def test_an_unwritable_cache_does_not_stop_loading(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "file"))
    assert load_model(str(tiny_model_folder), device="cpu").sha256


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smollm2", r"not an embedded model .* no file or folder .* not a hub id.*Did you mean smollm2-135m\?"),
        ("no/such/folder", "There is no model"),
        (".", "holds no model"),
        ("../absent", "There is no model"),
        ("x" * 5000, "There is no model"),
        ("~nobody-of-that-name/x", "There is no model"),
    ],
)
def test_unknown_names(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=message):
        load_model(name)


def test_pickled_weights_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(ModelError, match=r"only pytorch_model\.bin, and pickled weights can run code"):
        load_model(str(copy))


def test_missing_weights_are_never_left_random(copy: Path) -> None:
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**settings, "num_hidden_layers": 3}))
    with pytest.raises(ModelError, match=r"lack \d+ of the tensors"):
        load_model(str(copy))


def test_weights_that_are_cut_off(copy: Path) -> None:
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"weights of model .* cannot be read"):
        load_model(str(copy))


def test_a_damaged_configuration(copy: Path) -> None:
    (copy / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(str(copy))


def test_a_slow_tokenizer_is_refused(copy: Path) -> None:
    for path in (*copy.glob("tokenizer*"), *copy.glob("*.jinja")):
        path.unlink()
    ByT5Tokenizer().save_pretrained(copy)
    with pytest.raises(ModelError, match="no fast version"):
        load_model(str(copy))


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    config = T5Config(vocab_size=600, d_model=16, d_ff=16, d_kv=4, num_layers=1, num_heads=2, decoder_start_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    tiny_tokenizer(bos=False).save_pretrained(tmp_path / "t5")
    with pytest.raises(ModelError, match="not a causal language model"):
        load_model(str(tmp_path / "t5"))


def test_an_adapter_is_loaded(adapter_folder: Path, tiny_model_folder: Path) -> None:
    plain = load_model(str(tiny_model_folder), device="cpu")
    tuned = load_model(str(tiny_model_folder), adapter=adapter_folder, device="cpu")
    assert tuned.adapter == sha256_file(adapter_folder / "adapter_model.safetensors")
    assert not tuned.model.training
    assert tuned.context_length == plain.context_length
    assert (logits(tuned.model) - logits(plain.model)).abs().max() > 1e-3
    with tuned.model.disable_adapter():
        torch.testing.assert_close(logits(tuned.model), logits(plain.model))


def test_an_adapter_as_a_model_is_pointed_out(adapter_folder: Path) -> None:
    with pytest.raises(ModelError, match="holds an adapter, not a base model"):
        load_model(str(adapter_folder))


def test_an_adapter_of_another_shape_is_refused(adapter_folder: Path, tmp_path: Path) -> None:
    other = tiny_model("gpt2")
    other.model.save_pretrained(tmp_path / "gpt2")
    other.tokenizer.save_pretrained(tmp_path / "gpt2")
    with pytest.raises(AdapterError, match="does not fit this base model"):
        load_model(str(tmp_path / "gpt2"), adapter=adapter_folder)


def test_an_adapter_that_lacks_weights_is_refused(adapter_folder: Path, tiny_model_folder: Path) -> None:
    settings = json.loads((adapter_folder / "adapter_config.json").read_text())
    settings["target_modules"] = ["q_proj", "v_proj", "o_proj"]
    (adapter_folder / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(AdapterError, match="missing adapter keys"):
        load_model(str(tiny_model_folder), adapter=adapter_folder)


def test_a_pickled_adapter_is_refused(adapter_folder: Path, tiny_model_folder: Path) -> None:
    (adapter_folder / "adapter_model.safetensors").rename(adapter_folder / "adapter_model.bin")
    with pytest.raises(AdapterError, match="pickled weights can run code"):
        load_model(str(tiny_model_folder), adapter=adapter_folder)


@pytest.mark.parametrize("damage", ["absent", "empty"])
def test_a_folder_that_is_no_adapter(tmp_path: Path, tiny_model_folder: Path, damage: str) -> None:
    folder = tmp_path / "nothing"
    if damage == "empty":
        folder.mkdir()
    with pytest.raises(AdapterError, match="adapter"):
        load_model(str(tiny_model_folder), adapter=folder)


class TestHub:
    """The hub client without a network: offline mode and its own cache layout."""

    COMMIT = "0123456789abcdef0123456789abcdef01234567"

    @pytest.fixture(autouse=True)
    def _offline(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def test_not_reachable(self) -> None:
        with pytest.raises(ModelError, match=r"no folder tiny/llama.*could not be reached.*smollm2-135m"):
            load_model("tiny/llama")

    @pytest.mark.parametrize("name", ["tiny/llama", "tiny/llama@main", f"tiny/llama@{COMMIT}"])
    def test_downloaded_before(self, name: str, tmp_path: Path, tiny_model_folder: Path) -> None:
        repository = tmp_path / "hub" / "models--tiny--llama"
        shutil.copytree(tiny_model_folder, repository / "snapshots" / self.COMMIT)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(self.COMMIT)
        loaded = load_model(name, device="cpu")
        assert (loaded.name, loaded.revision) == (name, self.COMMIT)
        assert loaded.sha256 == sha256_file(tiny_model_folder / "model.safetensors")
