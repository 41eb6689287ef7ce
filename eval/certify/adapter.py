"""Train an adapter on a suite's rows without the ladder, to have something real to certify.

python -m eval.certify.adapter bitext_intents --model smollm2-135m --loss tokens --out out/certify/intents
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fewshot_llm.artifacts import Artifact, save_artifact
from fewshot_llm.evaluation.suite import load_suite, read_data
from fewshot_llm.ladder.rungs import Tuned, TunedPredictor
from fewshot_llm.models import load_model
from fewshot_llm.predictors import Inference, make_builder, make_task
from fewshot_llm.scoring import TreeScorer, encode
from fewshot_llm.stats import identity
from fewshot_llm.training import FittedAdapter, Recipe, train_adapter


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", help="the first of its numbers of shots is drawn, with seed 0")
    parser.add_argument("--model", required=True)
    parser.add_argument("--words", nargs="*", default=[], help="LABEL=WORDS, in place of the task's")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--layers", default="all")
    parser.add_argument("--loss", default="labels", choices=("tokens", "labels"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    suite = load_suite(options.suite)
    data = read_data(suite.data, suite.described_task())
    support = data.draw(suite.shots[0], 0)
    words = dict(pair.split("=", 1) for pair in options.words)
    task = make_task(data.task, label_words=words) if words else data.task
    model = load_model(options.model, device="cpu", dtype="float32")
    builder = make_builder(task, suite.language, TreeScorer(model), shots=0)
    rows = encode(model.tokenizer, [builder.build(example, support) for example in support])
    targets = [builder.labels.index(str(example.label)) for example in support]
    recipe = Recipe(
        name="certify",
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        layers=options.layers,
        loss=options.loss,
    )
    training = train_adapter(
        model, lambda _: rows, targets, recipe, on_epoch=lambda report, _: print(report, flush=True)
    )
    fitted = FittedAdapter(training.adapter, training.losses, float("nan"), 0.0, training.interrupted)
    inference = Inference(builder, TreeScorer(model), support)
    predictor = TunedPredictor(inference, (identity(len(builder.labels)),), Tuned(fitted, recipe, None))
    save_artifact(Artifact(predictor, tuple(sorted(builder.labels))), options.out, overwrite=True)


if __name__ == "__main__":
    main()
