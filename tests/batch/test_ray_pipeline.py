"""The two steps for a Ray Data pipeline of one's own: a model in the actors, and a server that is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from fewshot_llm.batch import Cluster, ServedLabels, Settings, TableLabeller
from fewshot_llm.errors import BatchError
from fewshot_llm.estimators import FewShotClassifier
from fewshot_llm.models import LanguageModel
from tests.batch.ray_parts import LABELS, TEXTS, tiny_labeller
from tests.batch.stand_in import StandIn

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # Ray leaves sockets to the garbage collector

ROWS = [{"id": i, "text": None if i == 7 else f"arrived late {i}"} for i in range(40)]
SETTINGS = Settings({"text": "text"})


def test_a_table_keeps_its_columns_and_gets_the_labels() -> None:
    table = pa.Table.from_pylist([{"row": 5, "text": "a"}, {"row": 6, "text": ""}])
    labelled = TableLabeller(StandIn, SETTINGS)(table).to_pylist()
    assert [(row["row"], row["text"]) for row in labelled] == [(5, "a"), (6, "")]
    assert labelled[0]["predicted_label"] in ("positive", "negative")
    assert labelled[0]["error"] is None
    assert labelled[1]["predicted_label"] is None
    assert labelled[1]["error"].startswith("empty-text: ")
    with pytest.raises(BatchError, match="cannot redact"):
        TableLabeller(StandIn, Settings({"text": "text"}, redactor=object()))  # type: ignore[arg-type]


def test_read_map_write_gives_the_labels_of_the_classifier(
    cluster: Cluster, tmp_path: Path, tiny_model_folder: Path
) -> None:
    import ray.data

    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "in.parquet")
    make = partial(tiny_labeller, tiny_model_folder)
    ray.data.read_parquet(str(tmp_path / "in.parquet")).map_batches(
        TableLabeller,
        fn_constructor_args=(make, SETTINGS),
        batch_format="pyarrow",
        batch_size=10,
        compute=ray.data.ActorPoolStrategy(size=1),
    ).write_parquet(str(tmp_path / "out"))
    rows = sorted(pq.read_table(tmp_path / "out").to_pylist(), key=lambda row: row["id"])
    assert [row["id"] for row in rows] == list(range(40))
    assert [row["id"] for row in rows if row["error"]] == [7]
    expected = make().classifier.predictions([row["text"] for row in ROWS if row["text"]])
    labelled = [row for row in rows if not row["error"]]
    assert [row["predicted_label"] for row in labelled] == [one.label for one in expected]


@pytest.fixture
def echo_server(llama: LanguageModel) -> Iterator[str]:
    """The tiny model behind vLLM's way of echoing a prompt with its log-probabilities."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            choices = []
            for index, ids in enumerate(told["prompt"]):
                with torch.no_grad():
                    logits = llama.model(torch.tensor([ids])).logits[0]
                scores = logits.log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
                choices.append({"index": index, "logprobs": {"token_logprobs": [None, *scores.tolist(), -1.0]}})
            body = json.dumps({"choices": choices[::-1]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/completions"
        server.shutdown()
        thread.join()


def test_the_recipe_for_servers_gives_the_labels_of_the_classifier(
    cluster: Cluster, echo_server: str, llama: LanguageModel
) -> None:
    pytest.importorskip("aiohttp", reason="needs pip install 'fewshot-llm[ray]'")
    import ray.data
    from ray.data.llm import HttpRequestProcessorConfig, build_processor

    classifier = FewShotClassifier("review-sentiment", llama, shots=2, language="en").fit(TEXTS, LABELS)
    steps = ServedLabels.of(classifier, "tiny")
    config = HttpRequestProcessorConfig(url=echo_server, concurrency=1, batch_size=8)
    label = build_processor(config, preprocess=steps.request, postprocess=steps.label)
    texts = [str(row["text"]) for row in ROWS if row["text"]][:16]
    rows: list[Any] = label(ray.data.from_items([{"id": i, "text": t} for i, t in enumerate(texts)])).take_all()
    rows.sort(key=lambda row: row["id"])
    expected = classifier.predictions(texts)
    assert [row["text"] for row in rows] == texts
    assert [row["predicted_label"] for row in rows] == [one.label for one in expected]
    assert [row["probability"] for row in rows] == pytest.approx([one.probability for one in expected], abs=1e-4)


def test_the_recipe_refuses_what_it_would_get_wrong(llama: LanguageModel) -> None:
    fitted = FewShotClassifier("review-sentiment", llama, shots=1, language="en", permutations=2).fit(TEXTS, LABELS)
    with pytest.raises(BatchError, match="permutations=1"):
        ServedLabels.of(fitted, "tiny")
