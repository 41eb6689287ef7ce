"""Commands on a model that a server has: the same answers as with the model here."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from fewshot_llm.export import running, script
from fewshot_llm.files import write_rows
from tests.batch.helpers import read_shards
from tests.cli.conftest import SUPPORT
from tests.export import conftest as adapters
from tests.export.trained import write_record

base_folder, make_adapter = adapters.base_folder, adapters.make_adapter
READMES = ("README.md", "README.zh.md")


@pytest.fixture
def adapter(make_adapter, base_folder, shop) -> Path:
    """`adapters/reviews` in the shop's folder, which is the working folder."""
    folder = write_record(make_adapter("qwen2", name="adapters/reviews", use_rslora=True), base_folder("qwen2"))
    return folder.relative_to(shop)


@pytest.mark.server
def test_classify_evaluate_and_batch_run_unchanged_on_a_server(run, adapter, base_folder, shop):
    rows = [{**row, "text": row["text"] + "!"} for row in csv.DictReader(SUPPORT.splitlines())]
    write_rows(shop / "test.csv", rows)
    assert run("export", adapter, "--to", "gguf-lora", "--out", "served").exit_code == 0
    shutil.copy("served/template.jinja", "served/en.v1.jinja")  # with it, the bundle is a task's folder

    def label(model: str, out: str) -> tuple[dict, list[dict], dict]:
        own = ("review-sentiment", "--support", "support.csv", "--model", model, "--adapter", adapter)
        asked = (
            ("classify", *own, "--shots", "1", "--input", "reviews.jsonl", "--output", f"{out}.jsonl"),
            ("evaluate", *own, "--shots", "1", "--seeds", "0", "--test", "test.csv", "--output", f"{out}.json"),
            ("batch", "served", "--adapter", adapter, "--input", "reviews.jsonl", "--output", out, "--model", model),
        )
        for command in asked:
            done = run(*command)
            assert done.exit_code == 0, (command, done.output, done.exception)
        classified = [json.loads(line) for line in Path(f"{out}.jsonl").read_text(encoding="utf-8").splitlines()]
        return classified, read_shards(shop / out), json.loads(Path(f"{out}.json").read_text(encoding="utf-8"))

    here = label(str(base_folder("qwen2")), "here")
    with running(script(shop / "served" / "serve.sh", "llama.cpp")) as root:
        there = label(f"{root}/v1#reviews", "there")

    for mine, theirs in zip([*here[0], *here[1]], [*there[0], *there[1]], strict=True):
        assert theirs["id"] == mine["id"]
        assert theirs["predicted_label"] == mine["predicted_label"]
        assert theirs["probability"] == pytest.approx(mine["probability"], abs=0.02)


def readme_commands(readme: str) -> list[list[str]]:
    """The commands of the README's section on serving, between single backticks."""
    text = (Path(__file__).parents[2] / readme).read_text(encoding="utf-8")
    section = text[text.index("\n1. `fewshot-llm tune") : text.index("| `--to`")]
    return [shlex.split(found) for found in re.findall(r"`fewshot-llm ([^`]+)`", section)]


@pytest.mark.server
def test_the_readmes_commands_for_serving_run_as_they_stand(run, make_adapter, base_folder, shop):
    write_record(make_adapter("qwen2", name="adapters/intents", use_rslora=True), base_folder("qwen2"))
    (shop / "messages.jsonl").write_text('{"text": "where is my parcel"}\n', encoding="utf-8")
    english, chinese = (readme_commands(name) for name in READMES)
    assert english == chinese
    assert [command[0] for command in english] == ["tune", "lint", "export", "batch"]
    tune, lint, export, batch = english
    assert run(tune[0], "--help").exit_code == 0
    for command in (lint, export):
        done = run(*command)
        assert done.exit_code == 0, (command, done.output)
    shutil.copy("served/template.jinja", "served/en.v1.jinja")
    with running(script(shop / "served" / "serve.sh", "llama.cpp")) as root:
        asked = [part.replace("http://127.0.0.1:8000", root).replace("customer-intent", "served") for part in batch]
        done = run(*asked)
    assert done.exit_code == 0, done.output
    assert read_shards(shop / "labelled")[0]["predicted_label"] in ("positive", "negative")
