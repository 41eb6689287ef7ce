"""Does time grow with the rows, and memory not?

python -m eval.speed.scaling MODEL ROWS    prints one JSON line
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import process_time

from eval.speed.memory import _status
from eval.speed.workloads import intents
from fewshot_llm import load_model
from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import TreeScorer

__all__ = ["growth"]


def growth(model_name: str, sizes: tuple[int, ...]) -> dict[str, object]:
    """CPU seconds per row and peak memory at each size, each in a process of its own: other work does not count."""
    runs = {}
    for rows in sizes:
        command = [sys.executable, "-m", "eval.speed.scaling", model_name, str(rows)]
        found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
        runs[rows] = json.loads(found.stdout.splitlines()[-1])
    smallest, largest = runs[sizes[0]], runs[sizes[-1]]
    return {
        "time_ratio": largest["seconds_per_row"] / smallest["seconds_per_row"],
        "memory_ratio": largest["peak_bytes"] / smallest["peak_bytes"],
        "runs": runs,
    }


def _measure(model_name: str, rows: int) -> dict[str, float]:
    model = load_model(model_name)
    base = intents(model, 600)
    rng = random.Random(0)
    # Queries of the same kind and length, all different: an order number changed in a real one.
    prompts: list[Prompt] = []
    while len(prompts) < rows:
        prompt = rng.choice(base)
        head, message = prompt.text.rsplit("Customer: ", 1)
        text = f"{head}Customer: {rng.randrange(10**6)} {message}"
        prompts.append(replace(prompt, text=text, answers=prompt.answers[:2]))
    scorer = TreeScorer(model)
    scorer.log_probs(prompts[:32])
    began = process_time()
    scorer.log_probs(prompts)
    return {"seconds_per_row": (process_time() - began) / rows, "peak_bytes": _status("VmHWM"), "rows": rows}


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))
