from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace

import pytest
import torch
from transformers import AutoTokenizer

from fewshot_llm.data import Example, load_task
from fewshot_llm.errors import AdapterError, ExportError, ServerError
from fewshot_llm.estimators import FewShotClassifier
from fewshot_llm.export import (
    SERVERS,
    Certificate,
    Target,
    changed_files,
    decision_prompt,
    read_bundle,
    read_source,
    running,
    script,
    serve_script,
    verify,
    write_bundle,
)
from fewshot_llm.ladder import Ladder
from fewshot_llm.ladder.rungs import Lora, Words
from fewshot_llm.predictors import MixturePredictor
from fewshot_llm.scoring import encode
from fewshot_llm.scoring.remote import Http
from fewshot_llm.training import Recipe
from tests.export.trained import write_record

ROWS = [Example({"text": "the parcel came late"}), Example({"text": "great quality, fast delivery"})]
COMMON = {"bundle.json", "fewshot.json", "task.toml", "template.jinja", "calibration.json", "golden.json", "serve.sh"}


@pytest.fixture
def source(base_folder, make_adapter):
    """A tiny Llama with an adapter whose scale servers would get wrong."""
    return read_source(write_record(make_adapter(name="reviews", r=4, use_rslora=True), base_folder("llama")))


@pytest.mark.parametrize("target", list(Target))
def test_every_bundle_is_whole(target, source, tmp_path):
    folder = tmp_path / "bundle"
    write_bundle(source, target, folder, rows=ROWS)

    names = {path.name for path in folder.iterdir()}
    assert names >= COMMON | {"SHA256SUMS", "certificate.json", "README.md"}
    assert changed_files(folder) == ()
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=False).returncode == 0
    assert subprocess.run(["sh", "-n", "serve.sh"], cwd=folder, check=False).returncode == 0
    assert read_bundle(folder).target is target
    certificate = Certificate.model_validate_json((folder / "certificate.json").read_bytes())
    assert certificate.passed is None
    assert not list(tmp_path.glob(".bundle*"))
    shutil.copy(folder / "template.jinja", folder / "en.v1.jinja")
    assert load_task(str(folder)).words("en") == source.record.task.words("en")


def test_a_bundle_is_not_overwritten_unasked(source, tmp_path):
    write_bundle(source, Target.PEFT, tmp_path / "bundle")
    with pytest.raises(AdapterError, match="there already"):
        write_bundle(source, Target.PEFT, tmp_path / "bundle")
    write_bundle(source, Target.PEFT, tmp_path / "bundle", overwrite=True)


def test_a_changed_file_is_named(source, tmp_path):
    write_bundle(source, Target.PEFT, tmp_path / "bundle")
    path = tmp_path / "bundle" / "adapter_config.json"
    path.write_text(path.read_text().replace('"r": 8', '"r": 9'))
    assert changed_files(tmp_path / "bundle") == ("adapter_config.json",)


def test_another_base_model_is_refused(source, base_folder):
    with pytest.raises(AdapterError, match="was trained on"):
        read_source(source.folder, str(base_folder("qwen2")))


def test_a_folder_that_is_no_bundle(tmp_path):
    with pytest.raises(ExportError, match="no bundle"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("target", list(Target))
def test_serve_script_names_every_server_and_is_valid_shell(target, tmp_path):
    text = serve_script(target, "it's", "/models/a b", 8)
    (tmp_path / "serve.sh").write_text(text)
    assert subprocess.run(["sh", "-n", "serve.sh"], cwd=tmp_path, check=False).returncode == 0
    assert subprocess.run(["sh", "serve.sh", "nonsense"], cwd=tmp_path, check=False).returncode == 2
    assert all(f"  {server})" in text for server in SERVERS[target])


def test_vllm_is_told_rank_name_and_path(tmp_path):
    (tmp_path / "bin").mkdir()
    vllm = tmp_path / "bin" / "vllm"
    vllm.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    vllm.chmod(0o755)
    (tmp_path / "serve.sh").write_text(serve_script(Target.PEFT, "reviews", "/models/a b", 32))
    env = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "PORT": "8123"}
    done = subprocess.run(["sh", "serve.sh"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert said[:2] == ["serve", "/models/a b"]
    assert said[said.index("--max-lora-rank") + 1] == "32"
    assert said[said.index("--lora-modules") + 1] == f"reviews={tmp_path}"
    assert said[said.index("--port") + 1] == "8123"


def test_decision_refuses_labels_of_several_tokens_and_names_some_that_are_one(base_folder, make_adapter):
    words = {"late": "the parcel is late", "fine": "all is fine"}
    source = read_source(write_record(make_adapter(r=8), base_folder("llama"), words))
    with pytest.raises(ExportError, match=r"the parcel is late.*for example A, B"):
        decision_prompt(source, source.load())


def test_decision_template_gives_the_prompt_that_was_trained(source):
    from transformers.decision import DecisionConfig

    model = source.load()
    prompt = decision_prompt(source, model)
    config = DecisionConfig(labels={"choice": list(prompt.labels)}, chat_template=prompt.template)
    tokenizer = AutoTokenizer.from_pretrained(source.base.folder)
    request = {
        "state": "good\nbut late",
        "questions": {"label": {"type": "choice", "criteria": {"positive": None, "negative": None}}},
    }
    inputs, _ = config.prepare_inputs(request, tokenizer)[0]

    built = source.builder(model).build(Example({"text": "good\nbut late"}), source.support)
    assert tuple(inputs["input_ids"][0].tolist()) == encode(model.tokenizer, [built])[0].context


@pytest.mark.server
@pytest.mark.parametrize("target", [Target.GGUF_LORA, Target.GGUF_MERGED])
@pytest.mark.parametrize("shape", ["llama", "qwen2"])
def test_llama_cpp_serves_a_copy_of_the_bundle_and_is_certified(target, shape, base_folder, make_adapter, tmp_path):
    source = read_source(write_record(make_adapter(shape, name="reviews", use_rslora=True), base_folder(shape)))
    write_bundle(source, target, tmp_path / "bundle", rows=ROWS)
    shutil.move(tmp_path / "bundle", tmp_path / "moved here")

    certificate = verify(tmp_path / "moved here")

    assert certificate.passed, certificate
    assert certificate.agreement == 1.0
    assert certificate.adapter_effect > 0.1
    assert "llama.cpp" in certificate.server
    written = json.loads((tmp_path / "moved here" / "certificate.json").read_text())
    assert written["passed"] is True


@pytest.mark.server
def test_the_file_for_ollama_is_certified_with_llama_cpp(source, tmp_path):
    write_bundle(source, Target.OLLAMA, tmp_path / "bundle", rows=ROWS)
    shutil.move(tmp_path / "bundle", tmp_path / "moved")
    assert verify(tmp_path / "moved").passed


@pytest.mark.server
def test_transformers_serve_writes_with_a_copy_of_a_merged_bundle_and_tells_no_probabilities(source, tmp_path):
    write_bundle(source, Target.MERGED, tmp_path / "bundle", rows=ROWS)
    shutil.move(tmp_path / "bundle", tmp_path / "moved")
    model = source.load()
    ids = encode(model.tokenizer, [source.builder(model).build(ROWS[0], source.support)])[0].context
    with running(script(tmp_path / "moved" / "serve.sh", "transformers")) as root:
        http = Http(root)
        body = {
            "model": str(tmp_path / "moved"),
            "prompt": model.tokenizer.decode(ids, skip_special_tokens=True),
            "max_tokens": 8,
        }
        written = http.post("/v1/completions", {**body, "temperature": 0})["choices"][0]["text"]
        http.close()
        with pytest.raises(ServerError, match="accepts `logprobs` and ignores it"):
            verify(tmp_path / "moved", f"{root}/v1")
    tokens = model.model.generate(input_ids=torch.tensor([ids]), max_new_tokens=8, do_sample=False)
    assert written == model.tokenizer.decode(tokens[0, len(ids) :], skip_special_tokens=True)


@pytest.mark.server
def test_transformers_serve_answers_decisions_and_is_certified(source, tmp_path):
    write_bundle(source, Target.DECISION, tmp_path / "bundle", rows=ROWS)
    shutil.move(tmp_path / "bundle", tmp_path / "moved")
    certificate = verify(tmp_path / "moved")
    assert certificate.passed, certificate
    assert certificate.largest < 1e-3
    assert "transformers serve" in certificate.server


def test_a_classifier_exports_its_adapter(source, tmp_path):
    classifier = FewShotClassifier.load(source.folder)
    classifier.export("peft", tmp_path / "bundle")
    assert read_bundle(tmp_path / "bundle").name == "reviews"
    with pytest.raises(ExportError, match="Did you mean gguf-lora"):
        classifier.export("gguf_lora", tmp_path / "other")


def test_a_classifier_without_adapter_has_nothing_to_export(base_folder, tmp_path):
    classifier = FewShotClassifier("review-sentiment", str(base_folder("llama")), shots=1)
    classifier.fit(["good", "bad"] * 2, ["positive", "negative"] * 2)
    with pytest.raises(ExportError, match="no trained adapter"):
        classifier.export("peft", tmp_path / "bundle")


class TestMixtures:
    @pytest.fixture
    def parts(self, base_folder):
        """Words, and a trained adapter, fitted on the same rows with the same model."""
        recipe = Recipe(name="tiny", rank=2, alpha=4, learning_rate=1e-2, epochs=2, batch_rows=4, folds=2)
        found = []
        for rung in (Words(), Lora()):
            ladder = Ladder(target=1.0, recipe=recipe, rungs=(rung,))
            classifier = FewShotClassifier("review-sentiment", str(base_folder("llama")), ladder=ladder, language="en")
            texts = ["good", "bad", "great quality", "came late", "fast", "broken"]
            found.append(classifier.fit(texts, ["positive", "negative"] * 3))
        return found

    def test_the_member_with_the_adapter_is_exported(self, parts, tmp_path):
        words, tuned = parts
        mixture = MixturePredictor((words.predictor_, tuned.predictor_), ("words", "lora"), (0.5, 0.6))
        words.predictor_ = mixture
        words.save(tmp_path / "saved")
        loaded = FewShotClassifier.load(tmp_path / "saved")
        loaded.export("peft", tmp_path / "bundle")
        bundle = read_bundle(tmp_path / "bundle")
        assert "words and the weights of the mixture are no part" in bundle.left_out[0].en
        card = (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")
        assert bundle.left_out[0].zh in card
        assert changed_files(tmp_path / "bundle") == ()
        source = read_source(tmp_path / "saved")
        builder, asked = source.builder(source.load()), tuned.predictor_.inference
        assert builder.build(ROWS[0], source.support).text == asked.prompts(ROWS[:1])[0].text
        assert source.record.calibrations[0].calibration == tuned.predictor_.calibrations[0]

    def test_without_an_adapter_there_is_nothing_to_export(self, parts, tmp_path):
        words, _ = parts
        words.save(tmp_path / "saved")
        with pytest.raises(ExportError, match="answers by words, which no server"):
            read_source(tmp_path / "saved")
        with pytest.raises(ExportError, match="no trained adapter"):
            FewShotClassifier.load(tmp_path / "saved").export("peft", tmp_path / "bundle")

    def test_one_that_was_trained_just_now_is_saved_first(self, parts, tmp_path):
        with pytest.raises(ExportError, match="saved first"):
            parts[1].export("peft", tmp_path / "bundle")


def test_terms_of_the_base_model_go_along(source, tmp_path):
    """As with a base model that comes under Gemma's terms."""
    named = replace(source, base=replace(source.base, name="gemma3-270m"))
    write_bundle(named, Target.PEFT, tmp_path / "bundle")
    assert "Gemma Terms of Use" in (tmp_path / "bundle" / "NOTICE").read_text(encoding="utf-8")
    assert "pass on the file `NOTICE`" in (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")
    assert changed_files(tmp_path / "bundle") == ()
