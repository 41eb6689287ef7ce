"""Certify real exports of a real adapter on real servers, and label a suite's test rows through each of them.

    python -m eval.certify.run ADAPTER --suite bitext_intents --out eval/baselines/serving-NAME.json \
        [--servers llama.cpp:gguf-lora,llama.cpp:gguf-merged,transformers:merged,vllm:peft] \
        [--vllm-python FOLDER/bin/python]

For each server the adapter is exported, the bundle is moved to another folder and started by its own serve.sh, the
certificate is made, and the test rows are labelled by `FewShotClassifier.load(ADAPTER, model=ADDRESS)` and by
`FewShotClassifier.load(ADAPTER)`. Printed and written: the certificate, the share of equal labels, the differences of
log-probabilities, seconds. A server that was measured before is measured again only where it is named; the others stay.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from eval.certify.ask import Labelled, decide, generate_here, generate_there, label
from fewshot_llm.artifacts import installed_versions
from fewshot_llm.data import Example
from fewshot_llm.evaluation.suite import SuiteData, load_suite, read_data
from fewshot_llm.export import BundleRecord, ExportSource, Target, read_source, running, script, verify, write_bundle
from fewshot_llm.files import atomic_write_json, sha256_file
from fewshot_llm.models import LanguageModel
from fewshot_llm.scoring import TreeScorer

VLLM = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1",
    "VLLM_ARGS": "--dtype float32 --enforce-eager --max-model-len 1024 --max-num-seqs 32 --block-size 32",
}


def measure(
    source: ExportSource, model: LanguageModel, server: str, target: Target, rows: list[Example], here: Labelled
) -> dict[str, Any]:
    """Export, move, start, certify, label."""
    with tempfile.TemporaryDirectory() as scratch:
        record = write_bundle(source, target, Path(scratch, "written", "bundle"), rows=rows[:12])
        bundle = Path(shutil.move(Path(scratch, "written"), Path(scratch, "moved here")), "bundle")
        with running(script(bundle / "serve.sh", server), timeout=300) as root:
            started = time.perf_counter()
            if server == "transformers" and target is Target.MERGED:
                result = _generated(source, model, root, bundle, rows, here)
            else:
                result = _scored(source, model, record, root, bundle, rows, here)
            result["seconds"] = round(time.perf_counter() - started, 1)
    return {"base": "quantised" if record.base_quantised else "float32", "rows": len(rows), **result}


def _scored(
    source: ExportSource,
    model: LanguageModel,
    record: BundleRecord,
    root: str,
    bundle: Path,
    rows: list[Example],
    here: Labelled,
) -> dict[str, Any]:
    address = f"{root}/v1#{record.name if record.target in (Target.PEFT, Target.GGUF_LORA) else ''}"
    certificate = verify(bundle, address)
    if record.target is Target.DECISION:
        expected, there = decide(source, model, record, root, bundle, rows, here)
    else:
        expected, there = here, label(source.folder, address, rows)
    differences = np.abs(there.scores - expected.scores)
    return {
        "certificate": certificate.model_dump(
            mode="json", include={"server", "passed", "broken", "rows", "agreement", "largest", "mean"}
        ),
        "labels_agree": _share(there.labels, here.labels),
        "largest_difference": float(differences.max()),
        "mean_difference": float(differences.mean()),
    }


def _generated(
    source: ExportSource, model: LanguageModel, root: str, bundle: Path, rows: list[Example], here: Labelled
) -> dict[str, Any]:
    """`transformers serve` tells no log-probabilities of a merged model: what it writes is compared."""
    there = generate_there(source, model, root, bundle, rows)
    mine = generate_here(source, model, rows)
    words = source.record.prompt.label_words
    # Training ended with the label words, so what comes after them is anything.
    begun = [[name for name, text in words.items() if written.startswith(text)] for written in there]
    read = [max(names, key=lambda name: len(words[name]), default="") for names in begun]
    return {"texts_agree": _share(there, mine), "labels_agree": _share(read, here.labels)}


def _share(one: list[str], other: list[str]) -> float:
    return float(np.mean([a == b for a, b in zip(one, other, strict=True)]))


def float_source(source: ExportSource, folder: Path) -> ExportSource:
    """The same with a base model that has no GGUF file of its own, so that it is exported in float32."""
    folder.mkdir()
    for path in source.base.folder.iterdir():
        if path.suffix != ".gguf" and path.name != "model.json":
            (folder / path.name).symlink_to(path.resolve())
    return read_source(source.folder, str(folder), allow_base_mismatch=True)


def _before(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """What was measured before of the same adapter on the same rows."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    same = all(kept.get(key) == document[key] for key in ("adapter_sha256", "test_fingerprint", "rows"))
    return kept["servers"] if same else {}


def _accuracy(here: Labelled, data: SuiteData, count: int) -> float:
    return _share(here.labels, [str(example.label) for example in data.test][:count])


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--suite", required=True, help="whose test rows are labelled")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=200, help="rows to label")
    parser.add_argument("--servers", default="llama.cpp:gguf-lora", help="SERVER:TARGET[:float32], by commas")
    parser.add_argument("--vllm-python", default="")
    options = parser.parse_args()
    if options.vllm_python:
        os.environ.update(VLLM, VLLM_PYTHON=options.vllm_python)
    suite = load_suite(options.suite)
    data = read_data(suite.data, suite.described_task())
    rows = data.queries[: options.limit]
    source = read_source(options.adapter)
    model = source.load()
    here = label(source.folder, TreeScorer(model), rows)
    document: dict[str, Any] = {
        "suite": suite.name,
        "base": source.base.name,
        "adapter_sha256": sha256_file(source.folder / "adapter_model.safetensors"),
        "rows": len(rows),
        "test_fingerprint": data.test.fingerprint,
        "accuracy": _accuracy(here, data, len(rows)),
        "recipe": source.record.recipe.model_dump(mode="json") if source.record.recipe else None,
        "versions": installed_versions() | {"xllamacpp": version("xllamacpp")},
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, shared with other work",
    }
    for asked in options.servers.split(","):
        server, target, *form = asked.split(":")
        with tempfile.TemporaryDirectory() as scratch:
            exported = float_source(source, Path(scratch, source.base.name)) if form else source
            found = measure(exported, model, server, Target(target), rows, here)
        print(asked, json.dumps(found), flush=True)
        # Read again each time: another server may have been measured beside this one.
        servers = _before(options.out, document) | {asked: found}
        atomic_write_json(options.out, document | {"servers": dict(sorted(servers.items()))})


if __name__ == "__main__":
    main()
