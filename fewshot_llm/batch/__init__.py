"""Batch jobs: label every row of a large input, lose none, and go on after any crash.

    from fewshot_llm.batch import ClassifierLabeller, Output, Settings, open_source, run_batch

    labeller = ClassifierLabeller(FewShotClassifier("review-sentiment").fit(texts, labels))
    source = open_source("reviews/*.jsonl.gz")
    report = run_batch(labeller, source, Output(Path("labelled"), resume=True), Settings({"text": "review"}))

Each name is imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
