"""Data-parallel training with real processes: two of them take the same steps as one, and only the first writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fewshot_llm.errors import ModelError
from fewshot_llm.models import choose_device, place

# On a CPU `accelerate launch` wants MPI; torch's own launcher sets up the same environment.
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")

TRAIN = """
import sys
from safetensors.torch import save_file
from accelerate import PartialState
from fewshot_llm.models import load_model
from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import encode
from fewshot_llm.training import Recipe
from fewshot_llm.training import train_adapter

model = load_model(sys.argv[1], device="cpu", threads=1)
texts = ["great", "broken box", "fast delivery", "late", "very good"]
rows = encode(model.tokenizer, [Prompt(f"Review: {t}\\nSentiment:", (" positive", " negative")) for t in texts])
# Five rows in steps of four: in the second step one process has no row.
recipe = Recipe(rank=2, learning_rate=0.02, epochs=2, batch_rows=4, pack_tokens=16)
training = train_adapter(model, lambda epoch: rows, [0, 1, 0, 1, 0], recipe)
state = PartialState()
if state.is_main_process:
    save_file(dict(training.adapter.weights), sys.argv[2])
    print(state.num_processes, *training.losses)
"""

AGREE = """
import os, sys, torch
from fewshot_llm.models import agreed, is_first, several
own = int(os.environ.get("RANK", 7))
found = agreed({"rank": own}, torch.device("cpu"))
sys.stdout.write(f"{own} {found['rank']} {several()} {is_first()}\\n")
"""

SUPPORT = """text,label
Fast delivery,positive
Will buy again,positive
Exactly as described,positive
Arrived broken,negative
Stopped working,negative
The seller never answered,negative
"""
RECIPE = "rank = 2\nlearning_rate = 0.02\nepochs = 2\nfolds = 2\n"


def run(*command: object, folder: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, *map(str, command)]
    return subprocess.run(arguments, capture_output=True, text=True, encoding="utf-8", timeout=300, cwd=folder)


def output(done: subprocess.CompletedProcess[str]) -> str:
    # The launcher's own account of a failure is long, and comes after the failure itself.
    assert done.returncode == 0, done.stderr[:4000] + done.stderr[-1000:]
    return done.stdout


@pytest.fixture
def train(tmp_path: Path, tiny_model_folder: Path):
    (tmp_path / "train.py").write_text(TRAIN, encoding="utf-8")

    def train(*launcher: str):
        weights = tmp_path / f"{len(launcher)}.safetensors"
        processes, *losses = output(run(*launcher, "train.py", tiny_model_folder, weights, folder=tmp_path)).split()
        return int(processes), [float(loss) for loss in losses], load_file(weights)

    return train


def test_two_processes_take_the_same_steps_as_one(train):
    one, losses, weights = train()
    two, shared_losses, shared_weights = train(*TWO)
    assert (one, two) == (1, 2)
    assert shared_losses == pytest.approx(losses, abs=1e-4)
    for name, weight in weights.items():
        torch.testing.assert_close(shared_weights[name], weight, rtol=1e-3, atol=1e-4)


def test_all_take_what_the_first_one_found(tmp_path):
    (tmp_path / "agree.py").write_text(AGREE, encoding="utf-8")
    assert output(run("agree.py", folder=tmp_path)).split() == ["7", "7", "False", "True"]
    lines = output(run(*TWO, "agree.py", folder=tmp_path)).splitlines()
    assert sorted(lines) == ["0 0 True True", "1 0 True False"]


@pytest.fixture
def tune(tmp_path: Path, tiny_model_folder: Path):
    (tmp_path / "support.csv").write_text(SUPPORT, encoding="utf-8")
    (tmp_path / "tiny.toml").write_text(RECIPE, encoding="utf-8")

    def tune(out: str, *more: str, launcher: tuple[str, ...] = TWO):
        return run(
            *launcher, "-m", "fewshot_llm", "tune", "review-sentiment", "--support", "support.csv", "--out", out,
            "--model", tiny_model_folder, "--device", "cpu", "--threads", "1", "--recipe", "tiny.toml", *more,
            folder=tmp_path,
        )  # fmt: skip

    return tune


def test_the_first_process_alone_writes_and_speaks(tune, tmp_path):
    alone = tune("one", "--test", "support.csv", launcher=())
    both = tune("two", "--test", "support.csv")
    expected = [line for line in output(alone).splitlines() if "training" not in line]
    found = [line for line in output(both).splitlines() if "training" not in line]
    assert found[:-1] == expected[:-1]
    assert (found[-1], len(found)) == ("→ two", len(expected))
    assert both.stderr.count("zero-shot: accuracy") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "support.csv", "tiny.toml", "two"]
    one, two = (json.loads((tmp_path / name / "decision.json").read_text(encoding="utf-8")) for name in ("one", "two"))
    assert (two["rung"], two["reason"]) == (one["rung"], one["reason"])


def test_all_give_up_together_where_the_budget_is_too_small(tune, tmp_path):
    done = tune("out", "--force", "--budget-minutes", "0.0001")
    assert done.returncode == 1
    assert "its folds alone would take" in done.stderr
    assert not (tmp_path / "out").exists()


def test_each_process_takes_a_card_of_its_own(monkeypatch: pytest.MonkeyPatch):
    """The choice only; nothing is put on a card, so none has to be there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device().index is None
    for name, value in {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert choose_device() == choose_device("cuda") == torch.device("cuda:1")
    assert choose_device("cuda:0") == torch.device("cuda:0")
    assert choose_device("cpu") == torch.device("cpu")
    assert place(torch.device("cuda:1"), 10**15, spread=True) == {"": "cuda:1"}
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ModelError, match=r"cuda:2.*--num_processes"):
        choose_device()
