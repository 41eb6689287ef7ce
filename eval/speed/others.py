"""The same requests through other people's scorers, each in its own environment and process."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from eval.speed.peers.environments import environment
from fewshot_llm.models import LanguageModel
from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import LabelScores, TreeScorer

__all__ = ["against_cappr", "against_lm_eval"]


def against_cappr(model: LanguageModel, prompts: Sequence[Prompt], sample: int) -> dict[str, Any]:
    """Times faster than cappr with its cache, and how many labels are the same."""
    start = _common_start([prompt.text for prompt in prompts])
    # cappr puts a space between prefix and query and between query and label: both sides get texts made that way.
    prefix = start[: start.rstrip().rfind("\n")]
    queries = [prompt.text[len(prefix) :].strip() for prompt in prompts]
    some, labels = queries[:sample], list(prompts[0].answers)
    alike = [Prompt(f"{prefix} {query}", tuple(f" {label}" for label in labels), closing="") for query in queries]
    work = {"prefix": prefix, "queries": some, "labels": labels}
    with tempfile.TemporaryDirectory() as folder:
        _old_tokenizer_folder(model, Path(folder))
        found = _run("cappr", {"folder": folder, **work})
    if found is None:
        return {"skipped": "no environment; run eval/speed/peers/environments.py"}
    scores, seconds = _ours(model, alike)
    # cappr ranks labels by their mean log-probability per token.
    own = [int((score.log_probs / score.token_counts).argmax()) for score in scores]
    agreement = float(np.mean([own[n] == label for n, label in enumerate(found["labels"])]))
    return {
        "ratio": (found["seconds"] / len(some)) / (seconds / len(alike)),
        "their_rows_per_second": len(some) / found["seconds"],
        "rows_per_second": len(alike) / seconds,
        "same_labels": agreement,
        "their_rows": len(some),
    }


def against_lm_eval(model: LanguageModel, prompts: Sequence[Prompt], sample: int) -> dict[str, Any]:
    """Times faster than lm-evaluation-harness' loglikelihood, and the largest difference in nats."""
    # The harness moves trailing spaces of a context to its continuation; labels with a leading space say the same.
    some = [prompt.text.rstrip(" ") for prompt in prompts[:sample]]
    spaces = prompts[0].text[len(prompts[0].text.rstrip(" ")) :]
    labels = [spaces + answer for answer in prompts[0].answers]
    with tempfile.TemporaryDirectory() as folder:
        model.model.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        found = _run("lm-eval", {"folder": folder, "texts": some, "labels": labels})
    if found is None:
        return {"skipped": "no environment; run eval/speed/peers/environments.py"}
    scored = TreeScorer(model).log_probs([Prompt(text, tuple(labels), closing="") for text in some])
    _, seconds = _ours(model, prompts)
    return {
        "ratio": (found["seconds"] / len(some)) / (seconds / len(prompts)),
        "their_rows_per_second": len(some) / found["seconds"],
        "rows_per_second": len(prompts) / seconds,
        "largest_difference": float(np.abs(np.array(found["log_probs"]) - [s.log_probs for s in scored]).max()),
        "their_rows": len(some),
    }


def _ours(model: LanguageModel, prompts: Sequence[Prompt]) -> tuple[list[LabelScores], float]:
    scorer = TreeScorer(model)
    scorer.log_probs(prompts[:2])
    began = perf_counter()
    scores = scorer.log_probs(prompts)
    return scores, perf_counter() - began


def _run(peer: str, work: Mapping[str, Any]) -> dict[str, Any] | None:
    python = environment(peer)
    if python is None:
        return None
    script = Path(__file__).parent / "peers" / f"{peer.replace('-', '_')}_scores.py"
    done = subprocess.run([python, script], input=json.dumps(work), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{peer} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _common_start(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    return first[: next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _old_tokenizer_folder(model: LanguageModel, folder: Path) -> None:
    """The model in files that transformers before 4.50 reads."""
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    kept = {key: value for key, value in config.items() if key.endswith("_token") and isinstance(value, str)}
    (folder / "tokenizer_config.json").write_text(json.dumps({**kept, "tokenizer_class": "PreTrainedTokenizerFast"}))
    settings = json.loads((folder / "config.json").read_text())
    settings["rope_theta"] = settings.get("rope_parameters", {}).get("rope_theta", 10000.0)
    settings["torch_dtype"] = settings.pop("dtype", "float32")
    settings.pop("rope_parameters", None)
    (folder / "config.json").write_text(json.dumps(settings))
