"""Peak memory of scoring behind a long prefix, each measurement in a process of its own.

python -m eval.speed.memory MODEL ROWS    prints one JSON line
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from eval.speed.workloads import long_prefix
from fewshot_llm import load_model
from fewshot_llm.scoring import TreeScorer, causal_network

__all__ = ["peak_ratio"]


def peak_ratio(model_name: str, rows: int = 64) -> dict[str, float]:
    """Memory that scoring adds over the loaded weights, in a fresh process, as a ratio to weights + one prefix."""
    command = [sys.executable, "-m", "eval.speed.memory", model_name, str(rows)]
    found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    measured: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return measured


def _status(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def _measure(model_name: str, rows: int) -> dict[str, float]:
    model = load_model(model_name)
    network = causal_network(model.model)
    weights = sum(p.numel() * p.element_size() for p in {id(p): p for p in network.parameters()}.values())
    prompts = long_prefix(model, rows=rows)
    for parameter in network.parameters():  # memory-mapped weights count once they have been read
        parameter.sum()
    scorer = TreeScorer(model)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    scorer.log_probs(prompts)
    added = _status("VmHWM") - before
    config = network.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * head * 4
    prefix = len(model.tokenizer(prompts[0].text).input_ids) * per_token
    return {
        "ratio": (weights + added) / (weights + prefix),
        "weights": weights,
        "one_prefix": prefix,
        "added_at_peak": added,
        "rows": rows,
        "copies_per_row_would_be": prefix * rows,
    }


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))
