"""Ways of having rows labelled: by the toolkit's classifier here or on a server, by typed decisions, by writing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fewshot_llm import FewShotClassifier
from fewshot_llm.data import Example
from fewshot_llm.export import BundleRecord, DecisionServer, ExportSource, GoldenRow
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import make_scorer
from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import LabelScores, encode
from fewshot_llm.scoring.remote import Http
from fewshot_llm.types import Progress


@dataclass(frozen=True)
class Labelled:
    """Labels of rows, and log P(label words | prompt) before calibration, nats, shape [rows, labels]."""

    labels: list[str]
    scores: npt.NDArray[np.float64]


class Recorder:
    """A scorer that remembers what it answered: the classifier passes on calibrated probabilities only."""

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer
        self.answered: list[LabelScores] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)

    def log_probs(self, prompts: list[Prompt], progress: Progress | None = None) -> list[LabelScores]:
        """See `Scorer.log_probs`."""
        found: list[LabelScores] = self._scorer.log_probs(prompts, progress)
        self.answered += found
        return found


def label(adapter: Path, model: Any, rows: list[Example]) -> Labelled:
    """Label rows with the classifier that an adapter folder records, on a loaded model or a server's address."""
    if isinstance(model, str):
        model = make_scorer(model, "auto", adapter=adapter)
    recorder = Recorder(model)
    classifier = FewShotClassifier.load(adapter, model=recorder)
    labels = [prediction.label for prediction in classifier.predictions(rows)]
    return Labelled(labels, np.array([scores.log_probs for scores in recorder.answered]))


def _prompts(source: ExportSource, model: LanguageModel, rows: list[Example]) -> list[Prompt]:
    builder = source.builder(model)
    return [builder.build(row, source.support) for row in rows]


def decide(
    source: ExportSource,
    model: LanguageModel,
    record: BundleRecord,
    root: str,
    bundle: Path,
    rows: list[Example],
    here: Labelled,
) -> tuple[Labelled, Labelled]:
    """What `/v1/systemone` should answer, and what it does: log-probabilities that sum to 1 over the labels."""
    assert record.decision is not None
    calibration, labels = source.record.calibrated, source.record.prompt.labels
    prompts = _prompts(source, model, rows)
    server = DecisionServer(root, str(bundle), labels, *record.decision, calibration.temperature)
    golden = [
        GoldenRow(
            fields=dict(row.fields),
            prompt=prompt.text,
            answers=prompt.answers,
            context=ids.context,
            answer_ids=ids.answers,
            tuned=tuple(scores),
            base=(),
        )
        for row, prompt, ids, scores in zip(
            rows, prompts, encode(model.tokenizer, prompts), here.scores.tolist(), strict=True
        )
    ]
    found = server.scores(golden)
    expected = np.array([server.expected(row.tuned) for row in golden])
    return Labelled(here.labels, expected), Labelled([labels[at] for at in found.argmax(axis=1)], found)


def generate_here(source: ExportSource, model: LanguageModel, rows: list[Example]) -> list[str]:
    """What the model with its adapter writes after each prompt, greedily, up to the end of the line."""
    import torch

    written = []
    for ids in encode(model.tokenizer, _prompts(source, model, rows)):
        context = torch.tensor([ids.context])
        with torch.inference_mode():
            tokens = model.model.generate(
                input_ids=context,
                attention_mask=torch.ones_like(context),
                max_new_tokens=_longest(ids.answers),
                do_sample=False,
                pad_token_id=model.tokenizer.eos_token_id,
            )
        written.append(_first_line(model.tokenizer.decode(tokens[0, context.shape[1] :], skip_special_tokens=True)))
    return written


def generate_there(
    source: ExportSource, model: LanguageModel, root: str, bundle: Path, rows: list[Example]
) -> list[str]:
    """The same through `/v1/completions`, which takes texts, not token ids, and puts a BOS before them itself."""
    http = Http(root)
    written = []
    for ids in encode(model.tokenizer, _prompts(source, model, rows)):
        body = {
            "model": str(bundle),
            "prompt": model.tokenizer.decode(ids.context, skip_special_tokens=True),
            "max_tokens": _longest(ids.answers),
            "temperature": 0,
        }
        written.append(_first_line(http.post("/v1/completions", body)["choices"][0]["text"]))
    http.close()
    return written


def _longest(answers: tuple[tuple[int, ...], ...]) -> int:
    return max(map(len, answers)) + 1


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].strip()
