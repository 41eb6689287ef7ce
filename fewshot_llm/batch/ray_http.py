"""A recipe: a fleet of servers asked from a Ray Data pipeline, through `ray.data.llm`'s HTTP processor.

For servers that echo a prompt with log-probabilities (vLLM, SGLang). Nothing is loaded where it runs but the
tokenizer. Needs `pip install fewshot-llm[ray]`.

    steps = ServedLabels.of(classifier, model="base")
    config = HttpRequestProcessorConfig(url="http://HOST:8000/v1/completions", concurrency=4, max_retries=3)
    label = build_processor(config, preprocess=steps.request, postprocess=steps.label)
    label(ray.data.read_parquet("reviews/")).write_parquet("labelled/")

One bad row stops such a pipeline: filter before it. The local engine with a `RemoteScorer` has a journal besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from fewshot_llm.calibration import Calibration
from fewshot_llm.errors import BatchError, ServerError
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.normalisation import Sum
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.scoring.encoding import Encoded, encode
from fewshot_llm.scoring.remote_named import in_order
from fewshot_llm.scoring.remote_servers import EchoCompletions, echo_score
from fewshot_llm.support import Example, SupportSet

__all__ = ["ServedLabels"]

SERVER = "The server"


@dataclass(frozen=True, eq=False)
class ServedLabels:
    """The two ends of the request: a row becomes its body, an answer becomes a label.

    Attributes:
        builder: makes the prompts; it has the tokenizer.
        support: where demonstrations come from.
        calibration: makes scores probabilities.
        model: the served model's or adapter's name.
        columns: for each field of the task, the column that holds it.
    """

    builder: PromptBuilder
    support: SupportSet
    calibration: Calibration
    model: str
    columns: Mapping[str, str]

    @classmethod
    def of(cls, classifier: FewShotClassifier, model: str, columns: Mapping[str, str] | None = None) -> ServedLabels:
        """From a fitted classifier.

        Args:
            classifier: fitted with the model that is served, so that its calibration fits.
            model: the served model's or adapter's name.
            columns: for each field of the task, the column that holds it; by default of the same name.

        Raises:
            BatchError: the classifier averages over several prompts, or does not simply sum a label's tokens.
        """
        inference, calibrations = classifier.answerer_.inference, classifier.calibrations_
        if len(calibrations) != 1 or not isinstance(inference.normalisation, Sum):
            raise BatchError(
                "This recipe asks one prompt a row and sums its scores. Fit with permutations=1 and "
                "normalisation='sum', or use a RemoteScorer, which knows the others too."
            )
        fields = inference.builder.task.fields
        return cls(
            inference.builder,
            inference.support,
            calibrations[0],
            model,
            {name: name for name in fields} if columns is None else columns,
        )

    def request(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with `payload`: one request for a prompt with each of its answers, as token ids."""
        encoded = self._encoded(row)
        payload = {
            "model": self.model,
            "prompt": [[*encoded.context, *answer] for answer in encoded.answers],
            "max_tokens": 1,
            "temperature": 0,
            "echo": True,
            "logprobs": 1,
        }
        return {**row, "payload": payload}

    def label(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with `predicted_label`, `probability` and `margin`, from `http_response`.

        Raises:
            ServerError: the server did not answer every prompt with log-probabilities.
        """
        encoded = self._encoded(row)
        try:
            told = EchoCompletions.model_validate(row["http_response"])
        except ValidationError as error:
            said = f"{error.errors()[0]['msg']}: {str(row['http_response'])[:200]}"
            raise ServerError(f"The server answered in another form than expected. {said}") from None
        choices = in_order(SERVER, told.choices, len(encoded.answers))
        start = len(encoded.context)
        pairs = zip(encoded.answers, choices, strict=True)
        scores = np.array([[echo_score(SERVER, choice, start, start + len(answer)) for answer, choice in pairs]])
        p = self.calibration.probabilities(scores)[0]
        best = int(p.argmax())
        ranked = np.sort(p)
        kept = {name: value for name, value in row.items() if name not in ("payload", "http_response")}
        return {
            **kept,
            "predicted_label": self.builder.labels[best],
            "probability": float(p[best]),
            "margin": float(ranked[-1] - ranked[-2]) if len(p) > 1 else 1.0,
        }

    def _encoded(self, row: Mapping[str, Any]) -> Encoded:
        fields = {name: row[column] for name, column in self.columns.items() if column in row}
        return encode(self.builder.tokenizer, [self.builder.build(Example(fields), self.support)])[0]
