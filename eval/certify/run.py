"""Certify real exports of a real adapter on real servers, and label a test set through each of them.

    python -m eval.certify.run ADAPTER --rows TEST.jsonl --out eval/baselines/serving-NAME.json \
        [--servers llama.cpp,transformers,vllm] [--vllm-python FOLDER/bin/python]

For each server the adapter is exported, the bundle is started by its own serve.sh, the certificate is made, and the
test rows are labelled by `FewShotClassifier` on the server and here. Printed and written: certificate, agreement of
labels, differences of log-probabilities, seconds.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from fewshot_llm.export.bundle import write_bundle
from fewshot_llm.export.names import Target
from fewshot_llm.export.servers import running, script
from fewshot_llm.export.source import Source, read_source
from fewshot_llm.export.verify import verify
from fewshot_llm.files import atomic_write_json, read_rows
from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.scoring.cached import TreeScorer
from fewshot_llm.scoring.remote import RemoteScorer
from fewshot_llm.support import Example

TARGETS = {"llama.cpp": Target.GGUF_LORA, "transformers": Target.DECISION, "vllm": Target.PEFT}
"""What is exported for a server, unless it is written behind it: `llama.cpp:gguf-merged`."""
VLLM = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1",
    # One sequence at a time: with an adapter, the CPU build of 0.32 ends where several want prompt log-probabilities.
    "VLLM_ARGS": "--dtype float32 --enforce-eager --max-model-len 1024 --max-num-seqs 1",
}


def label_rows(source: Source, model: LanguageModel, scorer: Any, rows: list[Example]) -> np.ndarray:
    """Label scores of the test rows, shape [rows, labels]."""
    builder = source.builder(model)
    prompts = [builder.build(row, source.support) for row in rows]
    return np.array([scores.log_probs for scores in scorer.log_probs(prompts)])


def measure(source: Source, model: LanguageModel, asked: str, rows: list[Example], here: np.ndarray) -> dict[str, Any]:
    """Export, certify, label."""
    server, _, named = asked.partition(":")
    target = Target(named) if named else TARGETS[server]
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        record = write_bundle(source, target, bundle, rows=rows[:12])
        with running(script(bundle / "serve.sh", server), timeout=300) as root:
            name = record.name if target in (Target.PEFT, Target.GGUF_LORA) else ""
            certificate = verify(bundle, f"{root}/v1#{name}")
            result: dict[str, Any] = {"certificate": certificate.model_dump(mode="json", exclude={"hashes"})}
            if target is not Target.DECISION:
                start = time.perf_counter()
                there = label_rows(source, model, RemoteScorer(f"{root}/v1#{name}", model.tokenizer), rows)
                result |= {
                    "rows": len(rows),
                    "labels_agree": float(np.mean(there.argmax(1) == here.argmax(1))),
                    "largest_difference": float(np.abs(there - here).max()),
                    "mean_difference": float(np.abs(there - here).mean()),
                    "seconds": round(time.perf_counter() - start, 1),
                }
    return result


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=200, help="rows to label")
    parser.add_argument("--servers", default="llama.cpp")
    parser.add_argument("--vllm-python", default="")
    options = parser.parse_args()
    if options.vllm_python:
        os.environ.update(VLLM, VLLM_PYTHON=options.vllm_python)
    source = read_source(options.adapter)
    model = source.load()
    raw = read_rows(options.rows)[: options.limit]
    rows = [Example({name: row[name] for name in source.record.task.fields if name in row}) for row in raw]
    here = label_rows(source, model, TreeScorer(model), rows)
    result: dict[str, Any] = {"base": source.base.name, "task": source.record.task.name, "rows": len(rows)}
    labels = source.record.prompt.labels
    if all("label" in row for row in raw):
        result["accuracy"] = float(
            np.mean([labels[at] == row["label"] for at, row in zip(here.argmax(1), raw, strict=True)])
        )
    result["versions"] = source.record.versions
    result["machine"] = f"{os.cpu_count()} CPU cores, shared"
    result["servers"] = {}
    for server in options.servers.split(","):
        result["servers"][server] = measure(source, model, server, rows, here)
        print(server, result["servers"][server], flush=True)
        atomic_write_json(options.out, result)


if __name__ == "__main__":
    main()
