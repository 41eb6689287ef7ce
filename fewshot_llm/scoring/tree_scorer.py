"""The fast scorer: every token of a batch is computed once.

It agrees with `ReferenceScorer` within 1e-4 in float32, whatever the batch, and cuts its passes to the memory that is
free. The tree replaces the model's attention. An architecture that does something else between tokens (state-space
layers, keys shared between layers, position biases) would be scored wrong without an error. So `choose_scorer` probes
every model once, and gives it the slow reference where the tree does not prove itself.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from fewshot_llm.errors import ScoringError
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.prompting.builder import Prompt
from fewshot_llm.scoring.attention import KeyValues
from fewshot_llm.scoring.base import LabelScores, Scorer, Stopped, TopLabels, current_session
from fewshot_llm.scoring.encoding import Encoded, encode
from fewshot_llm.scoring.head import causal_network, token_log_probs
from fewshot_llm.scoring.passes import Pass, Profile, asked_tokens, path_capacity, plan_pass, run_body, schedule
from fewshot_llm.scoring.reference import ReferenceScorer, score_encoded
from fewshot_llm.scoring.search import Goal, search_rows
from fewshot_llm.scoring.token_tree import build_tree
from fewshot_llm.types import Progress

__all__ = [
    "TreeScorer",
    "choose_scorer",
    "halve_on_out_of_memory",
    "probe_difference",
    "score_rows",
]

_LOG = logging.getLogger(__name__)

SMALLEST, LARGEST_ON_CPU, LARGEST_ON_GPU = 64, 1536, 16384
"""Beyond the largest nothing is gained: the matrix products are at their peak rate already."""

SHARE_OF_FREE_MEMORY = 0.25

Result = TypeVar("Result")


def _free_memory(device: torch.device) -> int:
    """Bytes that can still be allocated on a device; on a CPU what the kernel and the control group leave."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = [_meminfo("MemAvailable")]
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limits.append(
                int(Path("/sys/fs/cgroup", limit).read_text()) - int(Path("/sys/fs/cgroup", used).read_text())
            )
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return max(0, min(limits))


def _meminfo(field: str) -> int:
    try:
        line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith(field))
    except (OSError, StopIteration):
        return 4 * 2**30
    return int(line.split()[1]) * 1024


def _token_budget(language_model: LanguageModel) -> int:
    """Tokens a forward pass for a model, from its width and the memory that is free now."""
    config = language_model.model.config.get_text_config()
    width = config.hidden_size
    inner = getattr(config, "intermediate_size", None) or 4 * width
    per_token = torch.empty(0, dtype=language_model.dtype).element_size() * (12 * width + 4 * inner)
    largest = LARGEST_ON_CPU if language_model.device.type == "cpu" else LARGEST_ON_GPU
    fits = int(_free_memory(language_model.device) * SHARE_OF_FREE_MEMORY) // per_token
    return int(max(SMALLEST, min(largest, fits)))


def halve_on_out_of_memory(work: Callable[[int], Result], budget: int) -> tuple[Result, int]:
    """Do `work(budget)`; on running out of memory try again with half the budget, down to a floor.

    Returns:
        The result, and the budget that sufficed.

    Raises:
        ScoringError: the smallest budget does not fit either.
    """
    while True:
        try:
            return work(budget), budget
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not _is_out_of_memory(error):
                raise
            if budget <= SMALLEST:
                raise ScoringError(
                    f"There is not enough memory to score even {SMALLEST} tokens at a time. Close other programs, "
                    "use a smaller model, or shorten the demonstrations."
                ) from error
        budget = max(SMALLEST, budget // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        _LOG.warning("Out of memory: going on with %d tokens a pass.", budget)


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)


WINDOW = 1024
"""Prompts whose tokens form one tree. More would save little: a shared prefix is computed once per window."""

HEAD_ROWS = 512
"""Hidden states that the head waits for: its product, the largest of all, runs at 230 GFLOP/s with 200 of them where
400 get 300."""

Report: TypeAlias = Callable[[int], None]
Work: TypeAlias = Callable[[Sequence[Encoded], int, Report], tuple[list[Result], Profile]]


class TreeScorer:
    r"""Scores labels over one token tree per window of prompts. Threads may share a model: their passes take turns.

    Args:
        language_model: what to score with.
        batch_tokens: tokens a forward pass; found from the memory that is free when None.

    Attributes:
        profile: what all runs so far cost; set it to `Profile()` to start anew.

    Example:
        >>> from fewshot_llm import load_model  # doctest: +SKIP
        >>> scorer = TreeScorer(load_model("smollm2-135m"))  # doctest: +SKIP
        >>> scorer.log_probs([Prompt("Great!\nSentiment:", (" positive", " negative"))])  # doctest: +SKIP
    """

    def __init__(self, language_model: LanguageModel, batch_tokens: int | None = None) -> None:
        self.language_model = language_model
        self.batch_tokens = batch_tokens or _token_budget(language_model)
        self.profile = Profile()

    @property
    def fingerprint(self) -> str:
        """Model, revision, adapter and dtype."""
        return self.language_model.fingerprint

    def log_probs(self, prompts: Sequence[Prompt], progress: Progress | None = None) -> list[LabelScores]:
        """See `Scorer.log_probs`."""
        return self._by_window(
            prompts, lambda rows, budget, report: score_rows(self.language_model, rows, budget, report), progress
        )

    def best(
        self,
        prompts: Sequence[Prompt],
        k: int = 1,
        progress: Progress | None = None,
        offsets: Sequence[float] | None = None,
    ) -> list[TopLabels]:
        """See `Scorer.best`: exact, without scoring every label (`best_first.search_rows`)."""
        goal = Goal(k, None if offsets is None else tuple(offsets))
        return self._by_window(
            prompts, lambda rows, budget, report: search_rows(self.language_model, rows, goal, budget, report), progress
        )

    def _by_window(self, prompts: Sequence[Prompt], work: Work[Result], progress: Progress | None) -> list[Result]:
        results: list[Result] = []
        for start in range(0, len(prompts), WINDOW):
            began = perf_counter()
            rows = encode(self.language_model.tokenizer, prompts[start : start + WINDOW])
            encoded = perf_counter()

            def report(done: int, before: int = start) -> None:
                if progress:
                    progress(before + done, len(prompts))

            (window, cost), self.batch_tokens = halve_on_out_of_memory(
                partial(_with_budget, work, rows, report), self.batch_tokens
            )
            results += window
            self.profile += replace(
                cost,
                rows=len(rows),
                asked=asked_tokens(rows),
                encode_seconds=encoded - began,
                model_seconds=perf_counter() - encoded,
            )
            report(len(rows))
        return results


def _with_budget(
    work: Work[Result], rows: Sequence[Encoded], report: Report, budget: int
) -> tuple[list[Result], Profile]:
    return work(rows, budget, report)


def score_rows(
    language_model: LanguageModel, rows: Sequence[Encoded], budget: int, report: Report
) -> tuple[list[LabelScores], Profile]:
    """Scores of all answers of encoded prompts, over one token tree.

    In a `Session` its state is kept, and a call that was stopped goes on behind its last pass.

    Args:
        language_model: what to score with.
        rows: encoded prompts.
        budget: tokens a forward pass.
        report: called with the number of rows that are finished.

    Returns:
        Scores in the order of `rows`, and what they cost.

    Raises:
        Stopped: the session was stopped.
    """
    network, device = causal_network(language_model.model), language_model.device
    tree = build_tree(rows)
    # Every edge of every row's label trie: a position to read, and the token whose log-probability is asked there.
    nodes = np.concatenate([own[trie.edge_nodes] for own, trie in zip(tree.places, tree.tries, strict=True)])
    tokens = np.concatenate([trie.edge_tokens for trie in tree.tries])
    order = np.argsort(nodes, kind="stable")
    nodes, tokens = nodes[order], tokens[order]
    shared = KeyValues(path_capacity(tree, budget))
    last_nodes = np.sort([own.max() for own in tree.places])
    steps = list(schedule(tree, budget))
    session = current_session()
    key = _call_key(language_model, rows, budget) if session else ""
    earlier = session.find(key) if session else None
    at = _Progress(np.empty(len(order), dtype=np.float64))
    if earlier is not None:
        at = _Progress.read(earlier, len(order), device)
    found = at.found
    computed = passes = positions = 0

    def run(step: Pass) -> tuple[torch.Tensor, npt.NDArray[np.int64]]:
        nonlocal computed, passes, positions
        first, last = np.searchsorted(nodes, [step.start, step.stop])
        read, pairs = np.unique(nodes[first:last], return_inverse=True)
        plan = plan_pass(tree, step, shared, device)
        hidden = run_body(network, tree.ids[step.start : step.stop], plan, read - step.start)
        computed, passes, positions = computed + step.size, passes + 1, positions + len(read)
        return hidden, pairs

    def scored() -> int:
        return int(np.searchsorted(last_nodes, steps[at.passes - 1].stop)) if at.passes else 0

    try:
        for step in _path_of(steps, at.passes):
            run(step)
        for step in steps[at.passes :]:
            hidden, pairs = run(step)
            last = int(np.searchsorted(nodes, step.stop))
            at.asked.append(pairs + sum(map(len, at.waiting)))
            at.waiting.append(hidden)
            at.passes += 1
            if at.begun < last and (sum(map(len, at.waiting)) >= HEAD_ROWS or step.stop == len(tree.ids)):
                with torch.inference_mode():
                    found[at.begun : last] = token_log_probs(
                        network,
                        torch.cat(at.waiting),
                        torch.from_numpy(np.concatenate(at.asked)).to(device),
                        torch.from_numpy(tokens[at.begun : last]).to(device),
                    ).cpu()
                at.waiting, at.asked, at.begun = [], [], last
                report(scored())
            if session:
                session.keep_often(key, at.write, scored())
    except Stopped:
        assert session is not None
        if at.passes:
            session.keep(key, at.write(), scored())
        raise
    if session:
        session.keep(key, at.write(), len(rows))
    edges = np.empty_like(found)
    edges[order] = found
    results, start = [], 0
    for trie in tree.tries:
        own = edges[start : start + len(trie.edge_nodes)]
        start += len(own)
        results.append(LabelScores(trie.answer_scores(own), trie.lengths))
    return results, Profile(computed=computed, passes=passes, positions=positions)


@dataclass
class _Progress:
    """How far a call of `score_rows` is.

    Attributes:
        found: log-probabilities of the edges, sorted by node; of the first `begun` they are known.
        passes: how many were run.
        begun: edges before the first that waits for the head.
        waiting: hidden states that the head has not read yet.
        asked: for each edge from `begun` on, which of them it is read from.
    """

    found: npt.NDArray[np.float64]
    passes: int = 0
    begun: int = 0
    waiting: list[torch.Tensor] = field(default_factory=list)
    asked: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def write(self) -> bytes:
        """Everything, bit by bit."""
        from safetensors.torch import save

        tensors = {
            "counts": torch.tensor([self.passes, self.begun]),
            "found": torch.from_numpy(self.found[: self.begun].copy()),
        }
        if self.waiting:
            tensors["waiting"] = torch.cat(self.waiting).cpu().contiguous()
            tensors["asked"] = torch.from_numpy(np.concatenate(self.asked).astype(np.int64))
        return bytes(save(tensors))

    @classmethod
    def read(cls, state: bytes, edges: int, device: torch.device) -> _Progress:
        """What `write` gave, for a call with so many edges."""
        from safetensors.torch import load

        tensors = load(state)
        passes, begun = tensors["counts"].tolist()
        found = np.empty(edges, dtype=np.float64)
        found[:begun] = tensors["found"].numpy()
        if "waiting" not in tensors:
            return cls(found, passes, begun)
        return cls(found, passes, begun, [tensors["waiting"].to(device)], [tensors["asked"].numpy()])


def _call_key(language_model: LanguageModel, rows: Sequence[Encoded], budget: int) -> str:
    """Names everything that a call's scores depend on."""
    digest = hashlib.sha256(f"{language_model.fingerprint}\n{budget}\n{HEAD_ROWS}\n".encode())
    answers: dict[tuple[tuple[int, ...], ...], bytes] = {}
    for row in rows:
        digest.update(np.array([len(row.context), *row.context], dtype=np.int64).tobytes())
        if row.answers not in answers:
            answers[row.answers] = hashlib.sha256(repr(row.answers).encode()).digest()
        digest.update(answers[row.answers])
    return digest.hexdigest()


def _path_of(steps: Sequence[Pass], done: int) -> list[Pass]:
    """Those of the first `done` passes whose keys and values the passes behind them see, in order."""
    wanted = steps[done].path if done < len(steps) else 0
    chosen = []
    for step in reversed(steps[:done]):
        if wanted and step.keep and step.path < wanted:
            chosen.append(step)
            wanted = step.path
    return chosen[::-1]


PROBE_BUDGET = 8
"""Tokens a pass in the probe: so few that keys are read from the shared path as well as from blocks."""


def choose_scorer(language_model: LanguageModel, batch_tokens: int | None = None) -> Scorer:
    """The fastest scorer that gives this model's own scores.

    Args:
        language_model: what to score with.
        batch_tokens: see `TreeScorer`.

    Returns:
        A `TreeScorer`, or a `ReferenceScorer` (with a warning in the log) where the tree's scores differ.
    """
    try:
        difference = probe_difference(language_model)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        reason = f"its layers cannot be driven that way ({type(error).__name__}: {error})"
    else:
        if difference <= _tolerance(language_model.dtype):
            return TreeScorer(language_model, batch_tokens)
        reason = f"log-probabilities would differ by up to {difference:.3g}"
    _LOG.warning(
        "%s is scored one label at a time, which is slow: the token tree does not fit this kind of model, %s.",
        language_model.name,
        reason,
    )
    return ReferenceScorer(language_model)


def probe_difference(language_model: LanguageModel) -> float:
    """The largest difference in nats between the token tree's scores and plain forward passes, on a few odd rows."""
    ids = np.random.default_rng(0).integers(0, min(1000, len(language_model.tokenizer)), size=40).tolist()
    head, tails = tuple(ids[:20]), (tuple(ids[20:23]), tuple(ids[23:30]))
    answers = ((ids[30], ids[31], ids[32]), (ids[30], ids[31], ids[33] + 1), (ids[34],))
    rows = [Encoded(head + tail, answers) for tail in tails]
    scored, _ = score_rows(language_model, rows, PROBE_BUDGET, lambda _: None)
    return max(
        float(np.abs(own.log_probs - score_encoded(language_model, row).log_probs).max())
        for own, row in zip(scored, rows, strict=True)
    )


def _tolerance(dtype: torch.dtype) -> float:
    """Half precision rounds each layer's sums differently: about 1 % of a logit of 20."""
    return 1e-3 if dtype == torch.float32 else 0.25
