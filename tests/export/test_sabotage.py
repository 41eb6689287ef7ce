"""Ten exports that would be served wrong; the linter or the certificate catches each and says what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fewshot_llm.data import Example
from fewshot_llm.errors import AdapterError, CertificateError
from fewshot_llm.export import (
    Certificate,
    CompletionServer,
    ExportSource,
    Golden,
    Link,
    Server,
    Status,
    certify,
    lint,
    llama_cpp,
    read_adapter,
    read_base,
    read_source,
    record_golden,
    require,
    running,
    write_gguf_lora,
    write_gguf_model,
)
from fewshot_llm.models import load_model
from fewshot_llm.scoring.remote import RemoteScorer
from tests.conftest import tiny_model, tiny_tokenizer
from tests.export.trained import write_record

ROWS = [Example({"text": text}) for text in ("the parcel came late", "great quality", "broken box", "will buy again")]


@pytest.fixture
def shape(request) -> str:
    return getattr(request, "param", "llama")


@pytest.fixture
def source(shape, base_folder, make_adapter) -> ExportSource:
    adapter = make_adapter(shape, name="reviews", r=8, lora_alpha=12, use_rslora=True)
    return read_source(write_record(adapter, base_folder(shape)))


@pytest.fixture
def golden(source) -> Golden:
    return record_golden(source, source.load(), ROWS)


def serve_and_certify(
    golden: Golden, base: Path, lora: Path | None, tokenizer: object, template: str | None = None
) -> Certificate:
    with running(llama_cpp(base, lora, exact=True, threads=1)) as root:
        scorer = RemoteScorer(f"{root}/v1", tokenizer)
        certificate = certify(golden, CompletionServer(scorer), "gguf-lora", template_source=template)
        scorer.close()
    return certificate


def base_gguf(source: ExportSource, path: Path, tokenizer: object | None = None) -> Path:
    model = load_model(str(source.base.folder))
    write_gguf_model(model.model, tokenizer or model.tokenizer, path)
    return path


def named(folder: Path, base, rule: str) -> set[str]:
    return {f.server for f in lint(folder, base) if f.rule == rule and f.status is not Status.PASS}


@pytest.mark.server
def test_an_honest_export_passes(source, golden, tmp_path):
    write_gguf_lora(source.adapter, source.base, tmp_path / "lora.gguf")
    certificate = serve_and_certify(
        golden, base_gguf(source, tmp_path / "base.gguf"), tmp_path / "lora.gguf", source.load().tokenizer
    )
    require(certificate)
    assert certificate.largest < 1e-3


@pytest.mark.server
def test_1_no_adapter(source, golden, tmp_path):
    certificate = serve_and_certify(golden, base_gguf(source, tmp_path / "base.gguf"), None, source.load().tokenizer)
    assert certificate.broken is Link.ADAPTER_IGNORED
    with pytest.raises(CertificateError, match="base model's"):
        require(certificate)


@pytest.mark.server
def test_2_adapter_of_another_base(source, golden, tmp_path):
    other = load_model(str(source.base.folder))
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.mul_(1.3)
    other.model.save_pretrained(tmp_path / "other")
    other.tokenizer.save_pretrained(tmp_path / "other")
    assert Server.VLLM in named(source.folder, read_base(tmp_path / "other"), "other base")

    write_gguf_model(other.model, other.tokenizer, tmp_path / "other.gguf")
    write_gguf_lora(source.adapter, source.base, tmp_path / "lora.gguf")
    certificate = serve_and_certify(golden, tmp_path / "other.gguf", tmp_path / "lora.gguf", other.tokenizer)
    assert certificate.broken is Link.WEIGHTS


@pytest.mark.server
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"lora_alpha": 24}, id="3 alpha changed"),
        pytest.param({"use_rslora": False}, id="4 rsLoRA flipped"),
    ],
)
def test_another_scale(change, source, golden, tmp_path):
    wrong = replace(source.adapter, config={**source.adapter.config, **change})
    write_gguf_lora(wrong, source.base, tmp_path / "lora.gguf")
    certificate = serve_and_certify(
        golden, base_gguf(source, tmp_path / "base.gguf"), tmp_path / "lora.gguf", source.load().tokenizer
    )
    assert certificate.broken is Link.SCALE


def test_4_rslora_is_named_by_the_linter_before_it_is_served(source):
    assert {Server.SGLANG, Server.LLAMA_CPP} <= named(source.folder, source.base, "rsLoRA")


def test_5_one_layer_missing(source):
    path = source.folder / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file({name: tensor for name, tensor in tensors.items() if "layers.1.self_attn.v_proj" not in name}, path)
    findings = [
        f for f in lint(source.folder, source.base) if f.rule == "missing layer" and f.status is not Status.PASS
    ]
    assert {f.server for f in findings} == {Server.SGLANG, Server.TGI}
    assert "model.layers.1.self_attn.v_proj" in findings[0].detail


@pytest.mark.server
def test_6_template_changed_by_one_newline(source, golden, tmp_path):
    write_gguf_lora(source.adapter, source.base, tmp_path / "lora.gguf")
    changed = source.template.replace("Sentiment: {{", "\nSentiment: {{")
    certificate = serve_and_certify(
        golden, base_gguf(source, tmp_path / "base.gguf"), tmp_path / "lora.gguf", source.load().tokenizer, changed
    )
    assert certificate.broken is Link.TEMPLATE


@pytest.mark.server
@pytest.mark.parametrize("shape", ["qwen2"], indirect=True)
def test_7_doubled_bos(source, golden, tmp_path):
    write_gguf_lora(source.adapter, source.base, tmp_path / "lora.gguf")
    base = base_gguf(source, tmp_path / "base.gguf", tiny_tokenizer(bos=True))
    certificate = serve_and_certify(golden, base, tmp_path / "lora.gguf", tiny_model("qwen2").tokenizer)
    assert certificate.broken is Link.BOS


@pytest.mark.filterwarnings("ignore:.*(tie_word_embeddings|tied|save_embedding_layers)")
def test_8_output_head_targeted(base, make_adapter):
    folder = make_adapter(target_modules=["q_proj", "lm_head"])
    assert named(folder, base, "output head") >= {Server.VLLM, Server.SGLANG, Server.LLAMA_CPP}


def test_9_rank_24(base, make_adapter):
    assert Server.VLLM in named(make_adapter(r=24), base, "rank")


@pytest.mark.server
def test_10_tokenizer_swapped(source, golden, tmp_path):
    tokenizer = source.load().tokenizer
    raw = json.loads(tokenizer.backend_tokenizer.to_str())
    raw["model"]["merges"].reverse()
    swapped = tokenizer.from_pretrained(source.base.folder)
    swapped._tokenizer = type(tokenizer.backend_tokenizer).from_str(json.dumps(raw))
    write_gguf_lora(source.adapter, source.base, tmp_path / "lora.gguf")
    base = base_gguf(source, tmp_path / "base.gguf", swapped)
    certificate = serve_and_certify(golden, base, tmp_path / "lora.gguf", tokenizer)
    assert certificate.broken is Link.TOKENIZER


@pytest.mark.server
def test_an_adapter_that_does_nothing_cannot_be_certified(base_folder, make_adapter, tmp_path):
    folder = make_adapter(name="reviews", r=8)
    source = read_source(write_record(folder, base_folder("llama")))
    path = folder / "adapter_model.safetensors"
    save_file({name: tensor * 0 for name, tensor in load_file(path).items()}, path)
    with pytest.raises(AdapterError):  # not even exported; this one lost its weights after it was read
        read_source(write_record(folder, base_folder("llama")))
    golden = record_golden(source, source.load(), ROWS)
    write_gguf_lora(read_adapter(folder), source.base, tmp_path / "lora.gguf")
    certificate = serve_and_certify(
        golden, base_gguf(source, tmp_path / "base.gguf"), tmp_path / "lora.gguf", source.load().tokenizer
    )
    assert certificate.broken is Link.ADAPTER_IGNORED
    assert "changes nothing" in certificate.reason
