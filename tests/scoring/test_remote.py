from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any, ClassVar

import numpy as np
import pytest

from fewshot_llm.data import Task
from fewshot_llm.errors import ServerError
from fewshot_llm.estimators import FewShotClassifier
from fewshot_llm.export import (
    Launch,
    llama_cpp,
    read_adapter,
    read_base,
    running,
    transformers_serve,
    write_gguf_lora,
    write_gguf_model,
)
from fewshot_llm.models import API_KEY, load_model
from fewshot_llm.prompting import Prompt, Template
from fewshot_llm.scoring import Encoded, ReferenceScorer
from fewshot_llm.scoring.remote import (
    MOST_TOKENS,
    Echo,
    Http,
    NamedTokens,
    RemoteScorer,
    TopLists,
    parse_address,
    takes_named_tokens,
)
from tests.conftest import tiny_model
from tests.export import conftest as adapters
from tests.export.trained import TEMPLATE

base_folder, make_adapter = adapters.base_folder, adapters.make_adapter

PROMPTS = [
    Prompt("Review: the parcel came late and the box was broken\nSentiment: ", ("negative", "positive", "neutral")),
    Prompt("评论：物流很快，质量也不错。\n情感：", ("正面", "负面")),
    Prompt(
        "😀👍🏽 <s> <|im_start|> “quoted”，。！\nIntent: ", ("track order", "track parcel", "cancel order", "refund")
    ),
    Prompt("word " * 150 + "\nSentiment: ", ("negative", "positive")),
]


TOLERANCE = {"llama": 1e-4, "qwen2": 1e-4, "gemma3": 5e-3}
"""llama.cpp looks Gemma's GELU up in a table of half-precision numbers."""


@pytest.mark.server
@pytest.mark.parametrize("shape", ["llama", "qwen2", "gemma3"])
def test_llama_cpp_gives_the_same_scores_as_the_reference(shape, base_folder, make_adapter, tmp_path):
    base, adapter = base_folder(shape), make_adapter(shape, use_rslora=True, name="intents")
    tuned = load_model(str(base), adapter=adapter)
    write_gguf_model(tiny_model(shape).model, tiny_model(shape).tokenizer, tmp_path / "base.gguf")
    write_gguf_lora(read_adapter(adapter), read_base(base), tmp_path / "intents.gguf")
    truth = ReferenceScorer(tuned).log_probs(PROMPTS)
    untuned = ReferenceScorer(tiny_model(shape)).log_probs(PROMPTS)
    with running(llama_cpp(tmp_path / "base.gguf", tmp_path / "intents.gguf", exact=True, threads=1)) as root:
        scorer = RemoteScorer(f"{root}/v1#intents", tuned.tokenizer)
        remote = scorer.log_probs(PROMPTS)
        best = scorer.best(PROMPTS)
    for mine, theirs, base_scores in zip(remote, truth, untuned, strict=True):
        assert np.abs(mine.log_probs - theirs.log_probs).max() < TOLERANCE[shape]
        assert np.abs(mine.log_probs - base_scores.log_probs).max() > 0.05
        assert not mine.bounded.any()
        assert mine.token_counts.tolist() == theirs.token_counts.tolist()
    assert [top.indices[0] for top in best] == [int(scores.log_probs.argmax()) for scores in truth]


class Unsteady(BaseHTTPRequestHandler):
    """A server that is told, request by request, how to misbehave."""

    answers: ClassVar[list[tuple[int, dict[str, Any] | str]]] = []
    seen: ClassVar[list[tuple[str, str | None]]] = []
    under_way: ClassVar[int] = 0
    most: ClassVar[int] = 0
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).under_way += 1
        type(self).most = max(self.most, self.under_way)
        time.sleep(0.02)
        self.answer()
        type(self).under_way -= 1

    def answer(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        status, body = self.answers.pop(0) if self.answers else (404, {})
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def unsteady():
    Unsteady.answers, Unsteady.seen, Unsteady.under_way, Unsteady.most = [], [], 0, 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Unsteady)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_tries_again_after_an_error_that_passes(unsteady):
    Unsteady.answers = [(503, "busy"), (500, "oops"), (200, {"ok": 1})]
    http = Http(unsteady, back_off=0.001)
    assert http.post("/x", {}) == {"ok": 1}
    assert len(Unsteady.seen) == 3
    http.close()


def test_gives_up_after_its_tries_and_says_why(unsteady):
    Unsteady.answers = [(503, "busy")] * 9
    http = Http(unsteady, retries=2, back_off=0.001)
    with pytest.raises(ServerError, match=r"3 tries \(status 503: busy\)"):
        http.post("/x", {})
    assert len(Unsteady.seen) == 3
    http.close()


def test_an_error_that_stays_is_not_tried_again(unsteady):
    Unsteady.answers = [(400, "prompt too long")]
    http = Http(unsteady, back_off=0.001)
    with pytest.raises(ServerError, match="answered 400: prompt too long"):
        http.post("/x", {})
    assert len(Unsteady.seen) == 1
    http.close()


def test_a_server_that_is_not_there():
    with pytest.raises(ServerError, match="no answer in 2 tries"):
        Http("http://127.0.0.1:9", retries=1, back_off=0.001).get("/x")


def test_a_server_that_is_slow(unsteady):
    http = Http(unsteady, timeout=0.005, retries=0)
    with pytest.raises(ServerError, match="TimeoutError"):
        http.post("/x", {})
    http.close()
    time.sleep(0.1)


def test_the_key_is_sent_and_never_told(unsteady, monkeypatch):
    monkeypatch.setenv(API_KEY, "secret-key")
    Unsteady.answers = [(401, "who are you")]
    http = Http(unsteady, back_off=0.001)
    with pytest.raises(ServerError) as caught:
        http.post("/x", {})
    assert Unsteady.seen == [("/x", "Bearer secret-key")]
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(http)
    http.close()


@pytest.mark.parametrize("address", ["ftp://host", "http://", "host:8000", "http://user:pass@host/v1"])
def test_an_address_that_is_none(address):
    with pytest.raises(ServerError) as caught:
        parse_address(address)
    assert "pass@" not in str(caught.value)


def echo(scores: dict[tuple[int, ...], list[float]], ids: list[list[int]]) -> dict[str, Any]:
    return {
        "choices": [
            {"index": at, "logprobs": {"token_logprobs": [None, *scores[tuple(sequence)], -9.0]}}
            for at, sequence in enumerate(ids)
        ]
    }


def test_echo_sums_the_answer_tokens_alone(unsteady):
    scores = {(1, 2, 3): [-5.0, -1.0], (1, 2, 4, 5): [-5.0, -2.0, -0.5]}
    Unsteady.answers = [(200, echo(scores, [[1, 2, 3], [1, 2, 4, 5]]))]
    http = Http(unsteady)
    scores = Echo("/v1/completions", "m").score(http, Encoded((1, 2), ((3,), (4, 5))))
    assert scores.log_probs.tolist() == [-1.0, -2.5]
    http.close()


def test_a_server_that_ignores_logprobs_is_found_out(unsteady):
    Unsteady.answers = [(200, {"choices": [{"index": 0, "logprobs": None}]})]
    http = Http(unsteady)
    with pytest.raises(ServerError, match="ignores"):
        Echo("/v1/completions", "m").score(http, Encoded((1, 2), ((3,),)))
    http.close()


def test_a_server_that_adds_a_token_is_found_out(unsteady):
    Unsteady.answers = [(200, {"choices": [{"index": 0, "logprobs": {"token_logprobs": [None, -1, -1, -1, -1]}}]})]
    http = Http(unsteady)
    with pytest.raises(ServerError, match="second BOS"):
        Echo("/v1/completions", "m").score(http, Encoded((1, 2), ((3,),)))
    http.close()


def named(prompts: list[dict[int, float]], tokens: int) -> dict[str, Any]:
    return {
        "choices": [
            {"index": at, "logprobs": {"top_logprobs": [{f"token_id:{token}": score for token, score in told.items()}]}}
            for at, told in enumerate(prompts)
        ],
        "usage": {"prompt_tokens": tokens},
    }


ANSWERS = ((3,), (4, 5), (4, 6))


def test_named_tokens_follow_the_trie_in_one_request(unsteady):
    told = [{3: -1.0, 4: -2.0, 5: -9.0, 6: -9.0, 8: -0.1}, {3: -9.0, 4: -9.0, 5: -0.5, 6: -0.25}]
    Unsteady.answers = [(200, named(told, tokens=5))]
    http = Http(unsteady)
    scores = NamedTokens("/v1/completions", "m").score(http, Encoded((1, 2), ANSWERS))
    assert scores.log_probs.tolist() == [-1.0, -2.5, -2.25]
    assert scores.token_counts.tolist() == [1, 2, 2]
    http.close()


def test_more_tokens_than_a_request_may_name_are_asked_for_in_several(unsteady):
    answers = tuple((token,) for token in range(MOST_TOKENS + 5))
    parts = [range(MOST_TOKENS), range(MOST_TOKENS, MOST_TOKENS + 5)]
    Unsteady.answers = [(200, named([{token: -float(token) for token in part}], tokens=2)) for part in parts]
    http = Http(unsteady)
    scores = NamedTokens("/v1/completions", "m").score(http, Encoded((1, 2), answers))
    assert scores.log_probs.tolist() == [-float(token) for token in range(MOST_TOKENS + 5)]
    assert len(Unsteady.seen) == 2
    http.close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (named([{3: -1.0, 8: -0.1}] * 2, tokens=5), "asked for the token 4"),
        (named([{3: -1.0, 4: -1.0, 5: -1.0, 6: -1.0}] * 2, tokens=7), "second BOS"),
        (named([{3: -1.0}], tokens=5), "1 of 2 prompts"),
    ],
)
def test_a_server_that_leaves_named_tokens_out_or_changes_the_prompt(unsteady, answer, message):
    Unsteady.answers = [(200, answer)]
    http = Http(unsteady)
    with pytest.raises(ServerError, match=message):
        NamedTokens("/v1/completions", "m").score(http, Encoded((1, 2), ANSWERS))
    http.close()


@pytest.mark.parametrize(("told", "heeds"), [({1: -1.0, 3: -2.0}, True), ({7: -0.1}, False)])
def test_a_version_that_does_not_know_named_tokens_is_found_out(unsteady, told, heeds):
    Unsteady.answers = [(200, named([told], tokens=2))]
    http = Http(unsteady)
    assert takes_named_tokens(http, NamedTokens("/v1/completions", "m"), [1, 2, 3]) is heeds
    http.close()


def test_a_token_that_cannot_be_listed_gets_a_bound(unsteady):
    likely = [
        {"id": 7, "token": "x", "bytes": [120], "logprob": math.log(0.5)},
        {"id": 8, "token": "y", "bytes": [121], "logprob": math.log(0.4)},
    ]
    lifted = [{"id": 7, "token": "x", "bytes": [120], "prob": 1.0}]
    Unsteady.answers = [
        (200, {"completion_probabilities": [{"top_logprobs": likely}], "tokens_evaluated": 2}),
        (200, {"completion_probabilities": [{"top_probs": lifted}], "tokens_evaluated": 2}),
    ]
    slots: SimpleQueue[int] = SimpleQueue()
    slots.put(0)
    http = Http(unsteady)
    scores = TopLists(1, slots, size=2).score(http, Encoded((1, 2), ((7,), (9,))))
    assert scores.bounded.tolist() == [False, True]
    assert scores.log_probs[0] == pytest.approx(math.log(0.5))
    assert scores.log_probs[1] == pytest.approx(math.log(0.4))
    http.close()


@pytest.mark.server
def test_tokens_outside_the_list_are_scored_as_exactly_as_those_inside(base_folder, tmp_path):
    tiny = tiny_model("llama")
    write_gguf_model(tiny.model, tiny.tokenizer, tmp_path / "base.gguf")
    truth = ReferenceScorer(tiny).log_probs(PROMPTS)
    with running(llama_cpp(tmp_path / "base.gguf", exact=True, threads=1)) as root:
        scorer = RemoteScorer(f"{root}/v1", tiny.tokenizer)
        scorer._method = replace(scorer._method, size=8)
        found = scorer.log_probs(PROMPTS)
        scorer.close()
    for mine, theirs in zip(found, truth, strict=True):
        assert not mine.bounded.any()
        assert np.abs(mine.log_probs - theirs.log_probs).max() < 2e-4


@pytest.mark.server
def test_at_most_so_many_requests_and_one_bos(base_folder, tmp_path):
    tiny = tiny_model("llama")
    write_gguf_model(tiny.model, tiny.tokenizer, tmp_path / "base.gguf")
    with running(llama_cpp(tmp_path / "base.gguf", exact=True, threads=1)) as root:
        with pytest.raises(ServerError, match="no adapter named 'absent'"):
            RemoteScorer(f"{root}/v1#absent", tiny.tokenizer)
        scorer = RemoteScorer(f"{root}/v1", tiny.tokenizer, in_flight=3)
        steps: list[tuple[int, int]] = []
        scorer.log_probs(PROMPTS, lambda done, total: steps.append((done, total)))
        scorer.close()
    assert steps == [(n, len(PROMPTS)) for n in range(1, len(PROMPTS) + 1)]
    assert "llama.cpp" in scorer.fingerprint


@pytest.mark.server
def test_transformers_serve_ignores_logprobs_and_is_refused(base_folder, tmp_path):
    with (
        running(transformers_serve(base_folder("llama"))) as root,
        pytest.raises(ServerError, match="accepts `logprobs` and ignores it"),
    ):
        RemoteScorer(f"{root}/v1", tiny_model("llama").tokenizer)


def test_a_server_that_ends_early_is_told_with_its_last_words(tmp_path):
    with (
        pytest.raises(ServerError, match=r"ended with code [1-9].*before it was healthy"),
        running(llama_cpp(tmp_path / "absent.gguf")),
    ):
        pass


def test_a_server_is_stopped_when_the_block_fails(tmp_path):
    command = (sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1")
    with pytest.raises(RuntimeError, match="boom"), running(Launch("files", command, health="/")) as root:
        raise RuntimeError("boom")
    with pytest.raises(ServerError, match="no answer"):
        Http(root, retries=0).get("/")


@pytest.mark.server
def test_a_classifier_runs_unchanged_on_a_server(base_folder, make_adapter, tmp_path):
    """Twice the same classifier: with the model here, and with its GGUF on a server that is given by address."""
    base, adapter = base_folder("qwen2"), make_adapter("qwen2", name="reviews", use_rslora=True)
    local = load_model(str(base), adapter=adapter)
    plain = load_model(str(base))
    write_gguf_model(plain.model, plain.tokenizer, tmp_path / "base.gguf")
    write_gguf_lora(read_adapter(adapter), read_base(str(base)), tmp_path / "reviews.gguf")
    texts = ["great quality", "the box was broken", "fast delivery", "came late <|im_start|>", "质量不错", "再也不买了"]
    labels = ["positive", "negative"] * 3
    task = Task(name="reviews", labels=("positive", "negative"), languages=("en",))
    template = Template.from_source(TEMPLATE)

    def fit(model: Any, folder: Any = None) -> FewShotClassifier:
        classifier = FewShotClassifier(task, model, shots=1, template=template, language="en", adapter=folder)
        return classifier.fit(texts, labels)

    here = fit(local).predict_proba(texts)
    with running(llama_cpp(tmp_path / "base.gguf", tmp_path / "reviews.gguf", exact=True, threads=1)) as root:
        there = fit(f"{root}/v1#reviews", adapter).predict_proba(texts)
    assert np.abs(here - there).max() < 1e-3


def test_a_server_is_stopped_when_its_program_is_terminated(tmp_path):
    program = (
        "import sys, time\n"
        "from fewshot_llm.export.servers import Launch, running\n"
        "command = (sys.executable, '-m', 'http.server', '{port}', '--bind', '127.0.0.1')\n"
        "with running(Launch('files', command, health='/')) as root:\n"
        "    print(root, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        root = process.stdout.readline().strip()
        assert Http(root).get("/absent") is None
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    with pytest.raises(ServerError, match="no answer"):
        Http(root, retries=0).get("/")
