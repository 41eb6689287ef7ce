"""Train an adapter on a suite's rows without the ladder, to have something real to certify.

python -m eval.certify.adapter bitext_intents --model smollm2-135m --loss tokens --out out/certify/intents
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fewshot_llm.calibration import identity
from fewshot_llm.estimators.assemble import make_builder, make_task
from fewshot_llm.evaluation.data import read_data
from fewshot_llm.evaluation.suite_file import load_suite
from fewshot_llm.models.load import load_model
from fewshot_llm.scoring.cached import TreeScorer
from fewshot_llm.scoring.encoding import encode
from fewshot_llm.tuning.recipe import Recipe
from fewshot_llm.tuning.store import AdapterRecord, BaseRecord, PromptRecord, save_adapter_folder
from fewshot_llm.tuning.trainer import train_adapter


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
    prompt = PromptRecord(
        task=task.model_dump(mode="json", exclude={"folder"}),
        language=suite.language,
        template=builder.template.name,
        template_version=builder.template.version,
        template_source=builder.template.source,
        layout="plain",
        labels=builder.labels,
        label_words=task.words(suite.language),
        demonstrations=0,
        selection={"kind": "Balanced"},
        seed=0,
        fingerprint=builder.fingerprint,
    )
    calibration = identity(len(builder.labels))
    record = AdapterRecord(
        prompt=prompt,
        calibration={"bias": list(calibration.bias), "temperature": 1.0, "method": "none"},
        base=BaseRecord(name=model.name, revision=model.revision, sha256=model.sha256, dtype="float32"),
        support_fingerprint=support.fingerprint,
        support_rows={label: len(at) for label, at in support.by_label().items()},
        recipe=recipe,
        losses=training.losses,
    )
    save_adapter_folder(options.out, training.adapter, record, support, overwrite=True)


if __name__ == "__main__":
    main()
