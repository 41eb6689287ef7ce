"""Data-parallel training with real processes: two of them take the same steps as one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = """
import sys
from safetensors.torch import save_file
from accelerate import PartialState
from fewshot_llm.models.load import load_model
from fewshot_llm.prompting.prompt import Prompt
from fewshot_llm.scoring.encoding import encode
from fewshot_llm.tuning.recipe import Recipe
from fewshot_llm.tuning.trainer import train_adapter

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


@pytest.fixture
def train(tmp_path: Path, tiny_model_folder: Path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")

    def run(*launcher: str):
        weights = tmp_path / f"{len(launcher)}.safetensors"
        command = [sys.executable, *launcher, str(script), str(tiny_model_folder), str(weights)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        processes, *losses = done.stdout.split()
        return int(processes), [float(loss) for loss in losses], load_file(weights)

    return run


def test_two_processes_take_the_same_steps_as_one(train):
    one, losses, weights = train()
    two, shared_losses, shared_weights = train(
        # On a CPU `accelerate launch` wants MPI; torch's own launcher sets up the same environment.
        "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
    )  # fmt: skip
    assert (one, two) == (1, 2)
    assert shared_losses == pytest.approx(losses, abs=1e-4)
    for name, weight in weights.items():
        torch.testing.assert_close(shared_weights[name], weight, rtol=1e-3, atol=1e-4)
