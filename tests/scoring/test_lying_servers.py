"""A real server on loopback that drips, floods, hangs, lies, or sends its caller elsewhere."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from fewshot_llm.errors import ServerError
from fewshot_llm.models import API_KEY
from fewshot_llm.scoring import Encoded
from fewshot_llm.scoring.remote import (
    Echo,
    Http,
    ModelList,
    NamedTokens,
    RemoteScorer,
    TopLists,
    free_slots,
    lora_scales,
)
from tests.conftest import tiny_model

Answer = Callable[[socket.socket], None]


class Liar:
    """Reads a request and lets `answer` do what it wants with the connection."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.ended = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while request := self._read(connection):
                    self.requests.append(request)
                    self.answer(connection)
            except OSError:
                return

    @staticmethod
    def _read(connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line]
        while lengths and len(body) < lengths[0]:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self.ended.set()
        self.socket.close()


@pytest.fixture
def liar() -> Iterator[Callable[[Answer], Liar]]:
    servers: list[Liar] = []

    def start(answer: Answer) -> Liar:
        servers.append(Liar(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def head(status: str = "200 OK", *fields: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", *fields, *([] if length is None else [f"Content-Length: {length}"])]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def says(body: bytes | str, status: str = "200 OK", *fields: str) -> Answer:
    raw = body.encode() if isinstance(body, str) else body
    return lambda connection: connection.sendall(head(status, *fields, length=len(raw)) + raw)


def drip(*pieces: bytes, start: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(400):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.05)

    return answer


def flood(connection: socket.socket) -> None:
    connection.sendall(head("200 OK", "Transfer-Encoding: chunked"))
    chunk = b"10000\r\n" + b"[" * 65536 + b"\r\n"
    while True:
        connection.sendall(chunk)


def hang(connection: socket.socket) -> None:
    time.sleep(20)


def closes_midway(connection: socket.socket) -> None:
    connection.sendall(head(length=1000) + b'{"choices": [')
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "answer",
    [
        drip(b"x", start=head(length=1000)),
        drip(b"1\r\nx\r\n", start=head("200 OK", "Transfer-Encoding: chunked")),
        drip(b"X", start=b"HTTP/1.1 200 OK\r\nX-Slow: "),
        drip(b"X-A: b\r\n", start=b"HTTP/1.1 200 OK\r\n"),
        drip(b"HTTP/1.1 100 Continue\r\n\r\n", start=b""),
        hang,
    ],
    ids=["body", "chunks", "header", "headers", "continue", "hang"],
)
def test_one_deadline_for_the_whole_request(liar, answer: Answer) -> None:
    server = liar(answer)
    began = time.monotonic()
    with pytest.raises(ServerError, match=r"no whole answer within 0\.5 s"):
        Http(server.url, timeout=0.5).post("/x", {})
    assert time.monotonic() - began < 2.5


def test_a_server_that_reads_nothing_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        http = Http(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout=0.5)
        began = time.monotonic()
        with pytest.raises(ServerError, match=r"no whole answer within 0\.5 s"):
            http.post("/x", {"prompt": "x" * 50_000_000})
        assert time.monotonic() - began < 3


def test_a_flood_is_cut_off(liar) -> None:
    with pytest.raises(ServerError, match="more than 100,000 bytes"):
        Http(liar(flood).url, timeout=20, most_bytes=100_000).post("/x", {})


def test_a_flood_of_headers_is_cut_off(liar) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-Header: " + b"x" * 1000 + b"\r\n")

    with pytest.raises(ServerError, match="no answer in 1 tries"):
        Http(liar(answer).url, timeout=20, retries=0).post("/x", {})


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate"])
def test_a_packed_answer_is_bounded_when_unpacked(liar, coding: str) -> None:
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    server = liar(says(bomb, "200 OK", f"Content-Encoding: {coding}"))
    with pytest.raises(ServerError, match="more than 1,000,000 bytes"):
        Http(server.url, most_bytes=1_000_000).post("/x", {})
    good = liar(says(gzip.compress(b'{"ok": 1}'), "200 OK", f"Content-Encoding: {coding}"))
    assert Http(good.url).post("/x", {}) == {"ok": 1}


@pytest.mark.parametrize(
    ("body", "fields", "message"),
    [
        (b"x", ("Content-Encoding: br",), "'br'"),
        (b"no gzip", ("Content-Encoding: gzip",), "cannot be unpacked"),
        (b"<html>Welcome</html>", (), "no JSON: <html>Welcome"),
        (b"", (), "no JSON"),
        (b"\xff\xfe{", (), "no JSON"),
        (b"[" * 100_000, (), "no JSON"),
        (b'{"data": [NaN]}', (), "another form"),
        (b'{"data": null}', (), "another form"),
        (b"[]", (), "another form"),
        (b'"text"', (), "another form"),
        (b'{"data": [{"id": "m", "max_model_len": "4096"}]}', (), r"another form.*max_model_len.*\"4096\""),
    ],
)
def test_rubbish_is_shown(liar, body: bytes, fields: tuple[str, ...], message: str) -> None:
    with pytest.raises(ServerError, match=message):
        Http(liar(says(body, "200 OK", *fields)).url).get("/v1/models", ModelList)


@pytest.mark.parametrize(
    ("status", "fields", "message"),
    [
        ("302 Found", ("Location: http://127.0.0.1:9/x",), r"302: to http://127\.0\.0\.1:9/x .*not followed"),
        ("307 Temporary", ("Location: //elsewhere/x",), "not followed"),
        ("401 Unauthorized", (), "does not accept the key"),
        ("403 Forbidden", (), "does not accept the key"),
        ("404 Not Found", (), "no such route or model"),
        ("422 Unprocessable", (), "answered 422: said so"),
        ("429 Too Many", (), r"no answer in 2 tries \(status 429: said so"),
        ("500 Oops", (), r"no answer in 2 tries \(status 500: said so"),
        ("503 Later", ("Retry-After: 3600",), r"within 2 s .*status 503.*3,600 s"),
        ("429 Later", (f"Retry-After: {'9' * 400}",), r"within 2 s .*status 429"),
    ],
)
def test_every_status_has_its_message(liar, status, fields, message, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(API_KEY, "secret-key")
    server = liar(says("said so secret-key \x1b[2J", status, *fields))
    began = time.monotonic()
    with pytest.raises(ServerError, match=message) as caught:
        Http(server.url, timeout=2, retries=1, back_off=0.01).post("/x", {})
    assert "secret-key" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert time.monotonic() - began < 1.5


def test_no_key_where_one_is_wanted(liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(API_KEY, raising=False)
    for ask in (lambda http: http.post("/x", {}), lambda http: http.probe("/version", ModelList)):
        with pytest.raises(ServerError, match=r"wants a key\. Set FEWSHOT_API_KEY"):
            ask(Http(liar(says("", "401 Unauthorized")).url))


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_heeded(liar, as_date: bool) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=2)
    value = format_datetime(moment, usegmt=True) if as_date else "1"
    answers = [says("", "429 Later", f"Retry-After: {value}"), says('{"ok": 1}')]
    server = liar(lambda connection: answers.pop(0)(connection))
    began = time.monotonic()
    assert Http(server.url, timeout=10, back_off=0.001).post("/x", {}) == {"ok": 1}
    assert 0.5 < time.monotonic() - began < 5


def test_a_connection_that_closes_midway_is_tried_again(liar) -> None:
    answers: list[Answer] = [closes_midway, says('{"ok": 1}')]
    server = liar(lambda connection: answers.pop(0)(connection))
    assert Http(server.url, back_off=0.001).post("/x", {}) == {"ok": 1}
    with pytest.raises(ServerError, match="no answer in 2 tries"):
        Http(liar(closes_midway).url, retries=1, back_off=0.001).post("/x", {})


def test_connections_are_kept_and_shared(liar) -> None:
    server = liar(says('{"ok": 1}'))
    http = Http(server.url)
    for _ in range(5):
        http.post("/x", {})
    assert len(http._pool.connections) == 1
    threads = [threading.Thread(target=lambda: [http.post("/x", {}) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 5 + 160
    assert len(http._pool.connections) <= 8
    http.close()


def completions(**logprobs: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "logprobs": logprobs}], "usage": {"prompt_tokens": 2}})


ECHO = Echo("/v1/completions", "m")
NAMED = NamedTokens("/v1/completions", "m")


def lists() -> TopLists:
    from queue import SimpleQueue

    slots: SimpleQueue[int] = SimpleQueue()
    slots.put(0)
    return TopLists(1, slots, size=2)


@pytest.mark.parametrize(
    ("method", "body"),
    [
        (ECHO, "[]"),
        (ECHO, "null"),
        (ECHO, '{"choices": "none"}'),
        (ECHO, '{"choices": [[]]}'),
        (ECHO, '{"choices": [{"index": "0"}]}'),
        (ECHO, completions(token_logprobs="abc")),
        (ECHO, completions(token_logprobs=[None, -1.0, "x"])),
        (ECHO, completions(token_logprobs=[None, -1.0, [1]])),
        (ECHO, completions(token_logprobs=[None, -1.0, None])),
        (ECHO, completions(token_logprobs=[None, -1.0, 5.0])),
        (ECHO, completions(token_logprobs=[None, -1.0])),
        (ECHO, completions(token_logprobs=[None, -1.0, float("nan")])),
        (ECHO, completions(token_logprobs=[None, -1.0, float("-inf")])),
        (ECHO, '{"choices": [{"index": 7, "logprobs": {"token_logprobs": [null, -1, -1]}}]}'),
        (NAMED, completions(top_logprobs=[{"token_id:3": "x"}])),
        (NAMED, completions(top_logprobs=[{"token_id:3": None}])),
        (NAMED, completions(top_logprobs={"token_id:3": -1.0})),
        (NAMED, completions(top_logprobs=[[1]])),
        (NAMED, completions(top_logprobs=[{"token_id:3": 2.0}])),
        (NAMED, completions(top_logprobs=[])),
        (lists(), '{"completion_probabilities": 3}'),
        (lists(), '{"completion_probabilities": [{"top_logprobs": [{"id": "7", "logprob": -1}]}]}'),
        (lists(), '{"completion_probabilities": [{"top_logprobs": [{"id": 7, "logprob": null}]}]}'),
        (lists(), '{"completion_probabilities": [{"top_logprobs": [{"id": 7, "logprob": 4}]}]}'),
        (lists(), '{"completion_probabilities": [{"top_logprobs": [{"id": 7, "logprob": NaN}]}]}'),
        (lists(), '{"completion_probabilities": [{"top_logprobs": [{"id": 7, "bytes": [999], "logprob": -1}]}]}'),
        (lists(), '{"completion_probabilities": []}'),
        (
            lists(),
            '{"completion_probabilities": [{"top_logprobs": [{"id": 7, "logprob": -1}]}], "tokens_evaluated": "2"}',
        ),
    ],
)
def test_what_stands_where_log_probabilities_belong_is_refused(liar, method, body: str) -> None:
    server = liar(says(body))
    with pytest.raises(ServerError, match=server.url):
        method.score(Http(server.url, retries=0), Encoded((1, 2), ((3,),)))


@pytest.mark.parametrize("slots", ["null", '"4"', "0", "-1", "1000000000", "[1]"])
def test_slots_that_cannot_be(liar, slots: str) -> None:
    with pytest.raises(ServerError, match="total_slots"):
        free_slots(Http(liar(says(f'{{"total_slots": {slots}}}')).url))


def test_adapters_that_cannot_be(liar) -> None:
    with pytest.raises(ServerError, match="another form"):
        lora_scales(Http(liar(says('{"id": 0, "path": "x"}')).url), "x")


@pytest.mark.parametrize("body", ["[]", "null", '"<html>"', '{"version": 3}', '{"build_info": []}', "{}"])
def test_a_server_of_no_known_kind_is_refused_whatever_it_says(liar, body: str) -> None:
    with pytest.raises(ServerError):
        RemoteScorer(f"{liar(says(body)).url}/v1", tiny_model("llama").tokenizer, retries=0)
