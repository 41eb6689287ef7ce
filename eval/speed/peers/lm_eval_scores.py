"""Score labels with lm-evaluation-harness' `loglikelihood`; runs in an environment of its own.

Standard input: {"folder": model folder, "texts": [prompt, ...], "labels": [label, ...]}
Standard output: {"seconds": s, "log_probs": [[...], ...]}
"""

import json
import sys
import time

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

work = json.load(sys.stdin)
model = HFLM(pretrained=work["folder"], dtype="float32", device="cpu", batch_size=8)


def requests(texts):
    return [
        Instance("loglikelihood", {}, (text, label), number)
        for number, (text, label) in enumerate((text, label) for text in texts for label in work["labels"])
    ]


model.loglikelihood(requests(work["texts"][:1]), disable_tqdm=True)  # warm-up
began = time.perf_counter()
found = model.loglikelihood(requests(work["texts"]), disable_tqdm=True)
seconds = time.perf_counter() - began
width = len(work["labels"])
log_probs = [[value for value, _ in found[at : at + width]] for at in range(0, len(found), width)]
print(json.dumps({"seconds": seconds, "log_probs": log_probs}))
