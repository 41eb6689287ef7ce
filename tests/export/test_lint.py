from __future__ import annotations

import json

import pytest

from fewshot_llm.errors import AdapterError
from fewshot_llm.export.adapter import read_adapter
from fewshot_llm.export.base import read_base
from fewshot_llm.export.lint import Status, lint, worst
from fewshot_llm.export.lint_rules import RULES
from fewshot_llm.export.names import Server
from fewshot_llm.export.peft import normalise, write_adapter
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
