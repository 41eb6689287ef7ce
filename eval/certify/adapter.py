"""Train an adapter without the ladder, to have something real to certify.

python -m eval.certify.adapter customer-intent --support rows.jsonl --out adapters/intents
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fewshot_llm.calibration import identity
from fewshot_llm.estimators.assemble import make_builder, make_language, make_task
from fewshot_llm.models.load import load_model
from fewshot_llm.scoring.cached import TreeScorer
from fewshot_llm.scoring.encoding import encode
from fewshot_llm.support import SupportSet
from fewshot_llm.tuning.recipe import Recipe
from fewshot_llm.tuning.store import AdapterRecord, BaseRecord, PromptRecord, save_adapter_folder
from fewshot_llm.tuning.trainer import train_adapter


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("--support", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--loss", default="tokens", choices=("tokens", "labels"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    support = SupportSet.from_file(options.support)
    task = make_task(options.task, found=support.labels)
    language = make_language("auto", task, support)
    model = load_model(options.model, device="cpu", dtype="float32")
    builder = make_builder(task, language, TreeScorer(model), shots=0)
    rows = encode(model.tokenizer, [builder.build(example, support) for example in support])
    targets = [builder.labels.index(str(example.label)) for example in support]
    recipe = Recipe(name="certify", rank=8, epochs=options.epochs, loss=options.loss)
    training = train_adapter(
        model, lambda _: rows, targets, recipe, on_epoch=lambda report, _: print(report, flush=True)
    )
    prompt = PromptRecord(
        task=task.model_dump(mode="json", exclude={"folder"}),
        language=language,
        template=builder.template.name,
        template_version=builder.template.version,
        template_source=builder.template.source,
        layout="plain",
        labels=builder.labels,
        label_words=task.words(language),
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
