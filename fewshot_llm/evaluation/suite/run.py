"""Run a suite: cell by cell, each written when it is finished, so that an interrupted run goes on where it stopped.

The toolkit's own ways to answer, as cells of a suite measure them: a fixed rung, or the ladder's choice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any, cast, get_args

import numpy as np

from fewshot_llm.artifacts.record import installed_versions, model_record
from fewshot_llm.data import Example, SupportSet
from fewshot_llm.data.task import Task
from fewshot_llm.errors import FewshotError
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.evaluation.result import git_commit
from fewshot_llm.evaluation.suite.file import Method, Suite, SuiteData, read_data
from fewshot_llm.evaluation.suite.peers import Peer, PeerError, load_peers, pick_peer, run_peer
from fewshot_llm.evaluation.suite.result import (
    Cell,
    CellResult,
    SuitePart,
    SuiteResult,
    cells,
    claim_cell,
    read_cell,
    write_cell,
)
from fewshot_llm.ladder.base import Candidate, Ladder
from fewshot_llm.ladder.climb import LadderResult, run_ladder
from fewshot_llm.ladder.decision import Decision
from fewshot_llm.ladder.rungs.defaults import one_rung, quick_ladder
from fewshot_llm.ladder.rungs.lora import Lora, TunedPredictor
from fewshot_llm.ladder.rungs.prompted import RememberingScorer
from fewshot_llm.models.trust import ModelName
from fewshot_llm.predictors.base import Predictor
from fewshot_llm.predictors.build import make_builder, make_language, make_scorer, resources_of, text_language
from fewshot_llm.predictors.mixture import MixturePredictor
from fewshot_llm.predictors.prompted import PromptedPredictor, prompted_in, shown_shots
from fewshot_llm.scoring.base import Scorer
from fewshot_llm.scoring.passes import profile_of
from fewshot_llm.stats.calibration import OutOfFold, Uncalibrated
from fewshot_llm.stats.metrics import row_losses
from fewshot_llm.training.recipe import take_recipe

__all__ = ["METHODS", "Learned", "SuiteCallbacks", "learn", "run_suite"]

METHODS: tuple[str, ...] = get_args(Method)


@dataclass(frozen=True)
class Learned:
    """A way to answer, after it has seen the support set.

    Attributes:
        predictor: answers.
        facts: what it says of itself, as JSON takes it.
        candidates: where a ladder was climbed, all that were measured, by their rungs.
    """

    predictor: Predictor
    facts: dict[str, Any]
    candidates: Mapping[str, Candidate] = field(default_factory=dict, repr=False)


def learn(
    method: Method, suite: Suite, task: Task, scorer: Scorer, language: str, support: SupportSet, seed: int
) -> Learned:
    """Show a method the support set, and nothing else.

    `zero-shot` and `in-context` take the scores as they are; `calibrated` fits a bias per label and a temperature on
    the support rows out of fold; any other rung is taken whatever the evidence says; `quick` and `ladder` decide.

    Args:
        method: which one.
        suite: demonstrations, target, recipe, budget.
        task: with its labels.
        scorer: of the model.
        language: of the prompt.
        support: the labelled rows of one draw.
        seed: of everything that is left to chance.

    Raises:
        FewshotError: the method does not fit the rows or the model.
    """
    rows = max(map(len, support.by_label().values()))
    shots = 0 if method == "zero-shot" else min(suite.demonstrations or rows, rows)
    calibration = OutOfFold() if method == "calibrated" else Uncalibrated()
    classifier = FewShotClassifier(task, scorer, shots=shots, calibration=calibration, language=language, seed=seed)
    facts: dict[str, Any] = {"model": model_record(scorer), "language": language}
    if method in ("zero-shot", "in-context", "calibrated"):
        predictor = classifier.fit_support(support).predictor_
        return Learned(predictor, {**facts, "shots": shots, **_prompt_facts(predictor)})
    climbed = run_ladder(resources_of(classifier, support), _ladder(method, suite, seed))
    return Learned(climbed.predictor, facts | _climbed_facts(climbed), climbed.candidates)


def _ladder(method: Method, suite: Suite, seed: int) -> Ladder:
    whole = Ladder(suite.target, suite.recipe, suite.budget_minutes, seed)
    match method:
        case "ladder":
            return whole
        case "quick":
            return quick_ladder(seed)
    return replace(whole, rungs=one_rung(method, seed).rungs)


def _prompt_facts(predictor: Predictor) -> dict[str, Any]:
    """What its prompt shows; nothing where none is asked."""
    asked = prompted_in(predictor)
    if asked is None:
        return {}
    shown = shown_shots(asked.inference).shown
    return {"demonstrations": shown, "template": asked.inference.builder.template.name}


def _climbed_facts(climbed: LadderResult) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "rung": climbed.decision.rung,
        **_prompt_facts(climbed.predictor),
        "decision": _decision_facts(climbed.decision),
    }
    trained = prompted_in(climbed.predictor)
    if isinstance(trained, TunedPredictor):
        fitted = trained.tuned.fitted
        facts["training"] = {
            "losses": [round(loss, 5) for loss in fitted.losses],
            "accuracy": fitted.accuracy,
            "seconds": round(fitted.seconds, 2),
        }
    return facts


def _decision_facts(decision: Decision) -> dict[str, Any]:
    """The decision without its rows: a suite keeps figures, and answers to test rows."""
    return decision.model_dump(mode="json", exclude={"evidence": {"__all__": {"rows", "right", "losses", "briers"}}})


CELLS = "cells"
CLAIMS = ".claims"


@dataclass(frozen=True)
class SuiteCallbacks:
    """Whom to tell what happens; every part may be left out.

    Attributes:
        begins: before a cell is measured: which, how many are done, how many there are.
        done: a cell and what came of it, also one that was finished before.
        failed: a cell that could not be measured, and why.
        elsewhere: a cell that another run is measuring at this moment.
    """

    begins: Callable[[Cell, int, int], None] = lambda cell, done, total: None
    done: Callable[[CellResult, SuiteData], None] = lambda result, data: None
    failed: Callable[[Cell, FewshotError], None] = lambda cell, error: None
    elsewhere: Callable[[Cell], None] = lambda cell: None


def run_suite(
    suite: Suite,
    out: Path,
    *,
    part: SuitePart | None = None,
    overwrite: bool = False,
    watch: SuiteCallbacks | None = None,
    allow_download: bool = False,
    allow_scripts: bool = False,
    insecure: bool = False,
) -> SuiteResult:
    """Measure every cell that was not measured before.

    A cell that fails (a peer that is not installed, a prompt that does not fit a model) is told to `watch` and listed
    in the result; the others go on, and the next run tries it again. Runs that share `out` share the work: each takes
    the cells that no other is at, and the result of the last to end has them all.

    A suite that is none of the project's own is data and no program: its models and data sets are taken from the disk
    and the caches, an address among its models is refused, and the scripts of its peers are not run, until this call
    allows it. A model that `part` names was typed in this call, and may be anything.

    Args:
        suite: what to measure.
        out: cells are kept in `out/cells`.
        part: measure these cells now, all when None; the others are left as far as they are.
        overwrite: measure again what an earlier run finished.
        watch: told what happens.
        allow_download: fetch models and data sets that the suite names.
        allow_scripts: run the scripts that the suite's `peers.toml` names.
        insecure: allow that the key goes in clear to a server that `part` names.

    Raises:
        FewshotError: the task, the data or what `part` names is unusable; cells of another run are in the way; or the
            suite wants more than this call allows.
    """
    part, watch = part or SuitePart(), watch or SuiteCallbacks()
    part.check(suite)
    peers = load_peers(suite.folder.parent / "peers") if suite.peers else {}
    chosen = {name: pick_peer(peers, name) for name in suite.peers}
    if chosen and not (allow_scripts or suite.ours):
        raise PeerError(
            f"The suite {suite.name} names peers, which are scripts beside it: {', '.join(chosen)}. They are not run "
            "unasked. Read them, and allow it with --allow-scripts (allow_scripts=True in Python)."
        )
    models = {
        model: model if model in (part.models or ()) else suite.reference(model, allow_download=allow_download)
        for model in suite.models
    }
    data = read_data(suite.data, suite.described_task(), allow_download=allow_download or suite.ours)
    work = _Work(suite, data, chosen, models, insecure)
    planned = cells(suite, {name: peer.trains_model for name, peer in chosen.items()})
    folder = out / CELLS

    def finished(cell: Cell) -> CellResult | None:
        return read_cell(folder, cell, work.key, data.test.fingerprint)

    found: dict[Cell, CellResult] = {}
    for cell in planned:
        if not (overwrite and cell in part) and (result := finished(cell)) is not None:
            found[cell] = result
    failures: dict[str, str] = {}
    for number, cell in enumerate(planned):
        if cell not in found and cell in part:
            with claim_cell(out / CLAIMS, cell) as mine:
                if not mine:
                    watch.elsewhere(cell)
                elif not overwrite and (result := finished(cell)) is not None:
                    found[cell] = result
                else:
                    watch.begins(cell, number, len(planned))
                    try:
                        found[cell] = work.measure(cell)
                        write_cell(folder, found[cell])
                    except FewshotError as error:
                        failures[str(cell)] = str(error)
                        watch.failed(cell, error)
        if cell in found:
            watch.done(found[cell], data)
    for cell in planned:
        if cell not in found and str(cell) not in failures and (result := finished(cell)) is not None:
            found[cell] = result
    return SuiteResult.of(suite, data, [found[cell] for cell in planned if cell in found], failures)


def _remembering(predictor: Predictor, remembered: dict[int, RememberingScorer]) -> Predictor:
    """The predictor, which asks no prompt that another one has asked."""
    if isinstance(predictor, MixturePredictor):
        return replace(predictor, parts=tuple(_remembering(part, remembered) for part in predictor.parts))
    if not isinstance(predictor, PromptedPredictor):
        return predictor
    inference = predictor.inference
    scorer = remembered.setdefault(id(inference.scorer), RememberingScorer(inference.scorer))
    return replace(predictor, inference=replace(inference, scorer=scorer))


@dataclass
class _Work:
    """What cells share."""

    suite: Suite
    data: SuiteData
    peers: dict[str, Peer]
    models: Mapping[str, ModelName]
    insecure: bool
    language: str = field(init=False)

    def __post_init__(self) -> None:
        self.language = make_language(self.suite.language, self.data.task, self.data.pool)

    @cached_property
    def key(self) -> str:
        """SHA-256 of everything that every cell depends on: the suite's settings, the pool, the task's own text."""
        digest = hashlib.sha256(self.suite.fingerprint.encode())
        digest.update(self.data.pool.fingerprint.encode())
        digest.update(self.data.task.model_dump_json(exclude={"folder"}).encode())
        return digest.hexdigest()

    def measure(self, cell: Cell) -> CellResult:
        support = self.data.draw(cell.shots, cell.seed)
        if cell.method in METHODS:
            return self._own(cell, support)
        return self._peer(cell, support)

    def _own(self, cell: Cell, support: SupportSet) -> CellResult:
        texts = (example.text for example in self.data.pool)
        scorer = make_scorer(self.models[cell.model], text_language(self.language, texts), insecure=self.insecure)
        began = perf_counter()
        learned = learn(
            cast(Method, cell.method), self.suite, self.data.task, scorer, self.language, support, cell.seed
        )
        fitted = perf_counter()
        asked = prompted_in(learned.predictor)
        serving = scorer if asked is None else asked.inference.scorer
        before = profile_of(serving)
        answers = learned.predictor.answer(self.data.queries)
        cost, answered = profile_of(serving) - before, perf_counter()
        if cell.method in ("quick", "ladder"):
            learned.facts["candidates"] = self._candidates(learned)
        return CellResult.of(
            self.data.targets,
            answers.log_probabilities,
            fit_seconds=fitted - began,
            predict_seconds=answered - fitted,
            tokens_asked=cost.asked,
            tokens_computed=cost.computed,
            facts=learned.facts,
            versions=installed_versions(),
            **self._common(cell, support),
        )

    def _candidates(self, learned: Learned) -> dict[str, dict[str, float]]:
        """What each rung that was measured would have reached on the test rows: what the choice is judged by.

        An adapter that is not kept is not trained for this; the method `lora` measures it.
        """
        found: dict[str, dict[str, float]] = {}
        remembered: dict[int, RememberingScorer] = {}
        for rung, candidate in learned.candidates.items():
            kept = learned.facts["rung"] == rung
            if not kept and Lora.name in (rung, *candidate.evidence.settings.get("weights", ())):
                continue
            predictor = learned.predictor if kept else candidate.build()
            log_p = _remembering(predictor, remembered).log_probabilities(self.data.queries)
            right = log_p.argmax(axis=1) == self.data.targets
            loss = row_losses(self.data.targets, np.exp(log_p)).mean()
            found[rung] = {"accuracy": float(right.mean()), "log_loss": float(loss)}
        return found

    def _peer(self, cell: Cell, support: SupportSet) -> CellResult:
        peer = self.peers[cell.method]
        work: dict[str, Any] = {
            "support": [{"text": example.text, "label": example.label} for example in support],
            "test": [query.text for query in self.data.queries],
            "labels": list(self.data.task.labels),
            "seed": cell.seed,
        }
        if peer.trains_model:
            work |= self._training_work(cell, support)
        answers = run_peer(peer, work)
        return CellResult.of(
            self.data.targets,
            answers.log_probabilities,
            fit_seconds=answers.fit_seconds,
            predict_seconds=answers.predict_seconds,
            facts={"about": peer.about},
            versions=answers.versions,
            **self._common(cell, support),
        )

    def _training_work(self, cell: Cell, support: SupportSet) -> dict[str, Any]:
        """The same prompts and the same recipe as the toolkit's own LoRA, without demonstrations."""
        from fewshot_llm.models.locate import locate_model

        recipe = take_recipe(self.suite.recipe, len(self.data.task.labels), len(support))
        scorer = make_scorer(self.models[cell.model], self.language)
        builder = replace(make_builder(self.data.task, self.language, scorer), shots=0)

        def prompts(examples: list[Example]) -> list[dict[str, Any]]:
            built = [builder.build(example, support) for example in examples]
            return [{"text": prompt.text, "answers": prompt.answers} for prompt in built]

        return {
            "model_folder": str(locate_model(self.models[cell.model]).folder),
            "recipe": recipe.model_dump(mode="json"),
            "support_prompts": prompts([Example(example.fields) for example in support]),
            "test_prompts": prompts(self.data.queries),
        }

    def _common(self, cell: Cell, support: SupportSet) -> dict[str, Any]:
        return {
            "cell": cell,
            "suite": self.key,
            "support_fingerprint": support.fingerprint,
            "test_fingerprint": self.data.test.fingerprint,
            "git_commit": git_commit(),
        }
