from __future__ import annotations

import json
import math
import time
from contextlib import suppress

import pytest
import torch
from safetensors.torch import load_file, save_file

from fewshot_llm.errors import AdapterError
from fewshot_llm.export import (
    RULES,
    Server,
    Status,
    lint,
    normalise,
    read_adapter,
    read_base,
    refuse_broken,
    worst,
    write_adapter,
)
from tests.conftest import tiny_tokenizer

SERVED_BY_ADAPTER = [Server.VLLM, Server.SGLANG, Server.LLAMA_CPP, Server.TGI]
EVERY = set(map(str, SERVED_BY_ADAPTER))


def wrong(folder, base=None, servers=SERVED_BY_ADAPTER) -> dict[tuple[str, str], Status]:
    return {(f.server, f.rule): f.status for f in lint(folder, base, servers) if f.status is not Status.PASS}


def edit(folder, **fields) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_plain_adapter_passes_everywhere(base, make_adapter):
    assert wrong(make_adapter(r=8, lora_alpha=16), base) == {}


def test_every_rule_has_one_finding_per_server(base, make_adapter):
    findings = lint(make_adapter(), base)
    assert len(findings) == len(RULES) * len(Server)
    assert all(
        f.detail and f.remedy and f.source.startswith("https://") for f in findings if f.status is not Status.PASS
    )


@pytest.mark.parametrize(
    ("fields", "rule", "minding", "status"),
    [
        ({"use_rslora": True, "r": 8}, "rsLoRA", {"sglang", "llama.cpp"}, Status.MENDED),
        (
            {"alpha_pattern": {"q_proj": 3}, "r": 8},
            "alpha_pattern",
            {"sglang", "llama.cpp", "tgi-lorax"},
            Status.MENDED,
        ),
        ({"rank_pattern": {"q_proj": 16}, "r": 8}, "rank_pattern", {"sglang", "tgi-lorax"}, Status.MENDED),
        ({"r": 24}, "rank", {"vllm", "sglang", "tgi-lorax"}, Status.MENDED),
        ({"r": 8, "lora_alpha": 4.5}, "alpha", {"vllm"}, Status.MENDED),
        ({"r": 8, "layers_to_transform": [0]}, "missing layer", {"sglang", "tgi-lorax"}, Status.MENDED),
        ({"r": 8, "use_dora": True}, "DoRA", EVERY, Status.MEND),
        ({"r": 8, "modules_to_save": ["norm"]}, "modules_to_save", EVERY, Status.MEND),
        (
            {"r": 8, "target_modules": ["lm_head", "q_proj"]},
            "output head",
            set(map(str, SERVED_BY_ADAPTER)),
            Status.MEND,
        ),
        ({"r": 8, "bias": "lora_only"}, "bias", EVERY, Status.MEND),
    ],
)
@pytest.mark.filterwarnings("ignore:.*(tie_word_embeddings|tied|save_embedding_layers)")
def test_each_trait_is_named_for_the_servers_that_mind_it(fields, rule, minding, status, base, make_adapter):
    found = wrong(make_adapter(**fields), base)
    assert {server for server, name in found if name == rule} == minding
    assert {state for (_, name), state in found.items() if name == rule} == {status}


def test_what_export_mends_is_mended(base, make_adapter, tmp_path):
    folder = make_adapter(r=24, use_rslora=True, alpha_pattern={"q_proj": 3}, layers_to_transform=[1])
    assert worst(lint(folder, base, SERVED_BY_ADAPTER)) is Status.MENDED
    write_adapter(normalise(read_adapter(folder), base).adapter, tmp_path / "out")
    assert wrong(tmp_path / "out", base) == {}


def test_adapter_of_another_base_by_shape(base_folder, make_adapter):
    assert (Server.VLLM, "other base") in wrong(make_adapter("gemma3", r=8), read_base(base_folder("llama")))


def test_adapter_of_another_base_by_recorded_hash(base, make_adapter):
    folder = make_adapter(r=8)
    (folder / "fewshot.json").write_text(json.dumps({"base": {"sha256": "0" * 64}}))
    assert (Server.VLLM, "other base") in wrong(folder, base)
    (folder / "fewshot.json").write_text(json.dumps({"base": {"sha256": base.sha256}}))
    assert wrong(folder, base) == {}


def test_initialisation_that_rewrote_the_base(base, make_adapter):
    folder = make_adapter(r=8)
    edit(folder, init_lora_weights="olora")
    assert (Server.VLLM, "init") in wrong(folder, base)


def test_pickle_is_named_everywhere(base, make_adapter):
    folder = make_adapter(r=8)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    assert {server for server, rule in wrong(folder, base, Server) if rule == "pickle"} == set(Server)


def test_tokenizer_other_than_the_base_models(base, make_adapter):
    folder = make_adapter(r=8)
    tokenizer = tiny_tokenizer(bos=True)
    tokenizer.save_pretrained(folder)
    assert wrong(folder, base) == {}
    path = folder / "tokenizer.json"
    raw = json.loads(path.read_text())
    raw["added_tokens"].append({"id": 600, "content": "<shop>", "special": True})
    path.write_text(json.dumps(raw))
    assert (Server.VLLM, "tokenizer") in wrong(folder, base)
    assert (Server.VLLM, "new tokens") in wrong(folder, base)


def test_a_folder_that_is_no_adapter(tmp_path):
    with pytest.raises(AdapterError, match="no adapter folder"):
        lint(tmp_path)


def change_tensors(folder, change) -> None:
    """Rewrite the weights file with `change(name, tensor) -> tensor or None`."""
    path = folder / "adapter_model.safetensors"
    changed = {name: change(name, tensor) for name, tensor in load_file(path).items()}
    save_file({name: tensor.contiguous() for name, tensor in changed.items() if tensor is not None}, path)


def findings(folder, base=None) -> dict[str, tuple[Status, str]]:
    """Rule → status and detail for vLLM, passes left out."""
    return {f.rule: (f.status, f.detail) for f in lint(folder, base, [Server.VLLM]) if f.status is not Status.PASS}


def filled(part, value):
    return lambda name, tensor: torch.full_like(tensor, value) if part in name else tensor


@pytest.mark.parametrize(
    ("change", "rule", "named"),
    [
        (lambda name, tensor: None, "no tensors", "0 tensors"),
        (lambda name, tensor: None if "lora" in name else tensor, "no tensors", "0 tensors"),
        (filled("layers.1.self_attn.k_proj.lora_A", math.nan), "NaN or inf", "layers.1.self_attn.k_proj.lora_A"),
        (filled("layers.0.self_attn.q_proj.lora_B", -math.inf), "NaN or inf", "layers.0.self_attn.q_proj.lora_B"),
        (filled("lora_B", 0.0), "all zero", "changes nothing"),
        (filled("lora_A", 0.0), "all zero", "changes nothing"),
        (lambda name, t: None if "layers.0.self_attn.v_proj.lora_B" in name else t, "half a pair", "lora_A only"),
        (lambda name, t: t[:, :2] if "layers.0.self_attn.v_proj.lora_B" in name else t, "half a pair", "rank 4"),
    ],
)
def test_weights_that_cannot_be_right(change, rule, named, base, make_adapter):
    folder = make_adapter()
    change_tensors(folder, change)
    status, detail = findings(folder, base)[rule]
    assert status is Status.MEND
    assert named in detail
    with pytest.raises(AdapterError, match=rule):
        refuse_broken(folder)


@pytest.mark.parametrize(
    ("change", "rule", "named"),
    [
        (filled("layers.0.self_attn.q_proj.lora_B", 0.0), "some zero", "1 of 8 updates are zero: model.layers.0"),
        (filled("layers.1.self_attn.q_proj.lora_A", 1e5), "float16", "layers.1.self_attn.q_proj.lora_A"),
    ],
)
def test_weights_to_look_at(change, rule, named, base, make_adapter):
    folder = make_adapter(r=8)
    change_tensors(folder, change)
    found = findings(folder, base)
    assert set(found) == {rule}
    status, detail = found[rule]
    assert status is Status.NOTE
    assert named in detail
    refuse_broken(folder)


def test_half_precision_weights_that_ran_over(base, make_adapter):
    folder = make_adapter(r=8)
    change_tensors(folder, lambda name, t: (t * 1e6).to(torch.float16) if "k_proj.lora_B" in name else t)
    assert "k_proj.lora_B" in findings(folder, base)["NaN or inf"][1]


def test_a_dora_magnitude_that_is_nan(base, make_adapter):
    folder = make_adapter(r=8, use_dora=True)
    change_tensors(folder, filled("lora_magnitude_vector", math.nan))
    found = findings(folder, base)
    assert "lora_magnitude_vector" in found["NaN or inf"][1]
    assert "DoRA" in found


def test_tensors_of_no_target_module(base, make_adapter):
    folder = make_adapter(r=8)
    edit(folder, target_modules=["q_proj", "k_proj", "o_proj"])
    status, detail = findings(folder, base)["not a target"]
    assert status is Status.MEND
    assert "v_proj" in detail


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[: len(data) // 2],
        lambda data: (10**12).to_bytes(8, "little") + data[8:],
        lambda data: (len(data)).to_bytes(8, "little") + data[8:],
        lambda data: data[:8] + b"{" * (len(data) - 8),
    ],
)
def test_a_damaged_weights_file_is_an_error_that_names_it(damage, base, make_adapter):
    folder = make_adapter()
    path = folder / "adapter_model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    for look in (lambda: lint(folder, base), lambda: refuse_broken(folder), lambda: read_adapter(folder)):
        with pytest.raises(AdapterError, match=r"adapter_model\.safetensors is damaged"):
            look()


def test_a_factor_without_two_sides(base, make_adapter):
    folder = make_adapter()
    change_tensors(folder, lambda name, t: t.flatten()[0] if "layers.0.self_attn.q_proj.lora_A" in name else t)
    with pytest.raises(AdapterError, match="two sides"):
        lint(folder, base)


@pytest.mark.parametrize("name", ["adapter_config.json", "fewshot.json", "tokenizer.json"])
@pytest.mark.parametrize("text", ["[1]", "{", "null", "[" * 100_000])
def test_a_damaged_file_beside_the_weights(name, text, base, make_adapter):
    folder = make_adapter()
    (folder / name).write_text(text)
    with pytest.raises(AdapterError, match=name.replace(".", r"\.")):
        lint(folder, base)


def test_a_strangers_pattern_ends(base, make_adapter):
    folder = make_adapter(r=8)
    for pattern in ("([a-z_.0-9]+)+!", "(([a-z]|[a-z_.0-9])+)+[^a-z_.0-9]", "(.*.*.*.*.*.*.*.*)*\\1x"):
        edit(folder, rank_pattern={pattern: 4})
        started = time.thread_time()
        with suppress(AdapterError):
            normalise(read_adapter(folder), base)
        assert time.thread_time() - started < 2
    edit(folder, rank_pattern={"(q_proj": 4})
    with pytest.raises(AdapterError, match=r"pattern '\(q_proj'"):
        normalise(read_adapter(folder), base)
