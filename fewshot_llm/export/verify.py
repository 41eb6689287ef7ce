"""Verify a bundle: start its server or take one that runs, replay the golden prompts, write the certificate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot_llm.errors import ExportError, readable_record
from fewshot_llm.export.bundle import (
    BUNDLE,
    TEMPLATE,
    BundleRecord,
    changed_files,
    file_hashes,
    read_bundle,
    require_own_script,
)
from fewshot_llm.export.certificate import FLOAT32, QUANTISED, Certificate, Served, Tolerance, certify
from fewshot_llm.export.golden import Golden, read_golden
from fewshot_llm.export.names import Target
from fewshot_llm.export.serve_script import SERVERS
from fewshot_llm.export.served import CompletionServer, DecisionServer
from fewshot_llm.export.servers import running, script
from fewshot_llm.models.load import load_tokenizer
from fewshot_llm.models.locate import locate_model
from fewshot_llm.models.trust import RecordedModel
from fewshot_llm.scoring.remote import RemoteScorer
from fewshot_llm.tuning.store import RECORD, AdapterRecord

__all__ = ["verify"]


def verify(
    folder: Path,
    address: str | None = None,
    *,
    server: str | None = None,
    tolerance: Tolerance | None = None,
    timeout: float = 300.0,
    base: str | None = None,
    allow_download: bool = False,
    allow_scripts: bool = False,
    insecure: bool = False,
) -> Certificate:
    """Check that a server answers as transformers with peft did, and write `certificate.json`.

    Args:
        folder: a bundle.
        address: `http://HOST:PORT/v1#NAME` of a server that runs; None starts the bundle's own `serve.sh` on loopback
            and stops it afterwards.
        server: which of the bundle's servers to start; the first by default.
        tolerance: what still counts as the same; by default that of float32, or of quantised weights where the bundle
            is served on such.
        timeout: seconds until the server has to be healthy.
        base: the base model, whose tokenizer is needed; by default the recorded one, from the disk or the cache.
        allow_download: fetch the recorded base model.
        allow_scripts: start a serve.sh that was changed since `export` wrote it.
        insecure: allow that the key is sent over http:// to another machine.

    Returns:
        The certificate, passed or not; `require` raises where it did not.

    Raises:
        ExportError: the folder is no bundle, one of its files was changed, or its serve.sh is not what `export` writes.
        ServerError: the server cannot be started or asked.
    """
    bundle, golden = read_bundle(folder), read_golden(folder)
    limits = tolerance or (QUANTISED if bundle.base_quantised else FLOAT32)
    model = base or RecordedModel(bundle.base, str(folder / BUNDLE), allow_download)
    # Before a server is started or asked: without the base model's tokenizer nothing can be compared.
    tokenizer = None if bundle.target is Target.DECISION else load_tokenizer(locate_model(model))
    if address is not None:
        asked = _Asked(address, tokenizer, insecure=insecure)
        return _compare(folder, bundle, golden, asked, limits)
    chosen = server or SERVERS[bundle.target][0]
    if chosen not in SERVERS[bundle.target]:
        raise ExportError(f"A {bundle.target} bundle is served by {', '.join(SERVERS[bundle.target])}, not {chosen}.")
    if chosen == "ollama":
        chosen = "llama.cpp"  # the same file; Ollama gives no log-probabilities of chosen tokens
    if not allow_scripts:
        require_own_script(folder / "serve.sh", bundle)
    launch = script(folder / "serve.sh", chosen, offline=base is None and not allow_download)
    with running(launch, timeout=timeout) as root:
        name = bundle.name if bundle.target in (Target.PEFT, Target.GGUF_LORA) else ""
        asked = _Asked(f"{root}/v1#{name}", tokenizer, send_key=False)
        return _compare(folder, bundle, golden, asked, limits)


@dataclass(frozen=True)
class _Asked:
    """Which server is asked, and by which model's tokens; a decision server is asked by text."""

    address: str
    tokenizer: Any
    insecure: bool = False
    send_key: bool = True


def _compare(folder: Path, bundle: BundleRecord, golden: Golden, asked: _Asked, limits: Tolerance) -> Certificate:
    served = _served(folder, bundle, golden, asked)
    changed = [name for name in changed_files(folder) if name != TEMPLATE]
    certificate = certify(
        golden,
        served,
        bundle.target,
        limits,
        template_source=(folder / TEMPLATE).read_text(encoding="utf-8"),
        hashes=file_hashes(folder),
    )
    if changed and certificate.passed:
        certificate = certificate.model_copy(
            update={"reason": f"{certificate.reason} But {', '.join(changed)} changed since the export."}
        )
    certificate.write(folder)
    return certificate


def _served(folder: Path, bundle: BundleRecord, golden: Golden, asked: _Asked) -> Served:
    consent = {"insecure": asked.insecure, "send_key": asked.send_key}
    if bundle.target is Target.DECISION and bundle.decision is not None:
        with readable_record(folder / RECORD, ExportError):
            temperature = AdapterRecord.model_validate_json((folder / RECORD).read_bytes()).calibrated.temperature
        start, end = bundle.decision
        return DecisionServer(asked.address, str(folder), golden.labels, start, end, temperature, **consent)
    return CompletionServer(RemoteScorer(asked.address, asked.tokenizer, **consent))
