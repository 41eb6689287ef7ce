"""Verify a bundle: start its server or take one that runs, replay the golden prompts, write the certificate.

A server is asked for completions, or for typed decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from scipy.special import log_softmax

from fewshot_llm.artifacts.record import RECORD, ClassificationRecord
from fewshot_llm.errors import ExportError, ServerError, readable_record
from fewshot_llm.export import words as w
from fewshot_llm.export.bundle import (
    BUNDLE,
    SERVERS,
    TEMPLATE,
    BundleRecord,
    changed_files,
    file_hashes,
    read_bundle,
    require_own_script,
)
from fewshot_llm.export.certificate import (
    FLOAT32,
    QUANTISED,
    Certificate,
    Golden,
    GoldenRow,
    Served,
    Tolerance,
    certify,
    read_golden,
)
from fewshot_llm.export.servers import Target, running, script
from fewshot_llm.models.load import load_tokenizer
from fewshot_llm.models.locate import locate_model
from fewshot_llm.models.trust import RecordedModel
from fewshot_llm.scoring.remote.http import Http, ServerAnswer, parse_address
from fewshot_llm.scoring.remote.scorer import RemoteScorer
from fewshot_llm.types import FloatArray, Text, listed

__all__ = ["CompletionServer", "DecisionServer", "verify"]


class _Tokens(ServerAnswer):
    tokens: list[int]


class _Usage(ServerAnswer):
    input_tokens: int


class _Choice(ServerAnswer):
    probabilities: dict[str, Annotated[float, Field(ge=0, le=1.001)]]


class _Answers(ServerAnswer):
    label: _Choice


class _Decision(ServerAnswer):
    answers: _Answers
    usage: _Usage


class CompletionServer:
    """vLLM, SGLang or llama.cpp, asked through a `RemoteScorer`."""

    def __init__(self, scorer: RemoteScorer) -> None:
        self._scorer = scorer

    @property
    def server(self) -> str:
        """See `Served`."""
        return str(self._scorer.server)

    def token_ids(self, row: GoldenRow) -> tuple[int, ...] | None:
        """See `Served`; by the server's route `/tokenize`, with the special tokens that it adds by itself."""
        kind = self._scorer.server.kind
        # A chat layout has its BOS in the text; clients that send such text ask for no other.
        bos = self._scorer.tokenizer.bos_token
        special = not (bos and row.text.startswith(bos))
        if kind == "llama.cpp":
            body = {"content": row.text, "add_special": special, "parse_special": True}
        elif kind == "vllm":
            body = {"model": self._scorer.address.model, "prompt": row.text, "add_special_tokens": special}
        else:
            return None
        return tuple(self._scorer.http.post("/tokenize", body, _Tokens).tokens)

    def scores(self, rows: Sequence[GoldenRow]) -> FloatArray:
        """See `Served`."""
        found = self._scorer.score_encoded([row.encoded for row in rows])
        return np.array([scores.log_probs for scores in found])

    def expected(self, scores: Sequence[float]) -> FloatArray:
        """See `Served`: the very scores."""
        return np.asarray(scores, dtype=np.float64)


class DecisionServer:
    """`transformers serve` with a decision folder, asked by its typed route.

    Args:
        address: the server's address.
        folder: the decision folder, which requests name.
        labels: the task's labels, in the order of the decision folder's label tokens.
        start: what the decision template writes before the text.
        end: what it writes between the text and the answer's token, with the part of the prompt that belongs to it.
        temperature: of the calibration.
        insecure: allow that the key is sent over http:// to another machine.
        send_key: send the key at all.
    """

    def __init__(
        self,
        address: str,
        folder: str,
        labels: Sequence[str],
        start: str,
        end: str,
        temperature: float = 1.0,
        *,
        insecure: bool = False,
        send_key: bool = True,
    ) -> None:
        self._http = Http(parse_address(address).root, insecure=insecure, send_key=send_key)
        self._folder = folder
        self._labels = tuple(labels)
        self._start, self._end = start, end
        self._temperature = temperature

    @property
    def server(self) -> str:
        """See `Served`."""
        import transformers

        return f"transformers serve {transformers.__version__}"

    def token_ids(self, row: GoldenRow) -> tuple[int, ...] | None:
        """See `Served`; the route tells how many tokens it read and not which, so only a wrong count is a fault."""
        count = self._ask(row).usage.input_tokens
        return None if count == len(row.context) else (-1,) * count

    def scores(self, rows: Sequence[GoldenRow]) -> FloatArray:
        """See `Served`: the logarithms of the probabilities, which sum to 1 over the labels."""
        answers = [self._ask(row).answers.label.probabilities for row in rows]
        if missing := [label for label in self._labels for answer in answers if label not in answer]:
            raise ServerError(f"{self._http.root} was asked about the label {missing[0]!r} and does not tell it.")
        with np.errstate(divide="ignore"):
            return np.log([[answer[label] for label in self._labels] for answer in answers])

    def expected(self, scores: Sequence[float]) -> FloatArray:
        """See `Served`: the scores, tempered and normalised over the labels."""
        result: FloatArray = log_softmax(np.asarray(scores, dtype=np.float64) / self._temperature)
        return result

    def _ask(self, row: GoldenRow) -> _Decision:
        state = row.prompt.removeprefix(self._start)
        state = state[: len(state) - len(self._end)] if self._end else state
        question = {"type": "choice", "criteria": dict.fromkeys(self._labels)}
        body = {"model": self._folder, "state": state, "questions": {"label": question}}
        return self._http.post("/v1/systemone", body, _Decision)


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
        reason = Text(certificate.reason, certificate.reason_zh)
        said = w.PASSED_BUT_CHANGED.fill(reason=reason, files=listed(changed))
        certificate = certificate.model_copy(update={"reason": said.en, "reason_zh": said.zh})
    certificate.write(folder)
    return certificate


def _served(folder: Path, bundle: BundleRecord, golden: Golden, asked: _Asked) -> Served:
    consent = {"insecure": asked.insecure, "send_key": asked.send_key}
    if bundle.target is Target.DECISION and bundle.decision is not None:
        with readable_record(folder / RECORD, ExportError):
            record = ClassificationRecord.model_validate_json((folder / RECORD).read_bytes())
        start, end = bundle.decision
        temperature = record.calibrations[0].calibration.temperature
        return DecisionServer(asked.address, str(folder), golden.labels, start, end, temperature, **consent)
    return CompletionServer(RemoteScorer(asked.address, asked.tokenizer, **consent))
