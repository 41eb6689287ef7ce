"""Requests to a model server: `Http` against the standard library's client, eight in flight, on one echo server.

python eval/speed/http_requests.py            # an answer takes 10 ms, as the fastest real servers do
python eval/speed/http_requests.py --delay 0  # the client's own cost
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from fewshot_llm.scoring.remote import EchoCompletions, Http

SERVER = """
import asyncio, json, sys
choices = [{"index": at, "logprobs": {"token_logprobs": [None] + [-1.5] * 300}} for at in range(4)]
BODY = json.dumps({"choices": choices}).encode()
async def answer(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
            length = [int(line.split(b":")[1]) for line in head.split(b"\\r\\n") if line.startswith(b"content-length")]
            await reader.readexactly(length[0])
            await asyncio.sleep(float(sys.argv[1]))
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY) + BODY)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
REQUEST = {"model": "m", "prompt": [list(range(300))] * 4, "max_tokens": 1, "echo": True, "logprobs": 1}
IN_FLIGHT, REQUESTS, ROUNDS = 8, 400, 5


def standard_library(port: int) -> None:
    """One request over a connection that the thread keeps, as the toolkit asked before."""
    if not hasattr(_kept, "connection"):
        _kept.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    _kept.connection.request("POST", "/x", json.dumps(REQUEST).encode(), {"Content-Type": "application/json"})
    json.loads(_kept.connection.getresponse().read())


_kept = threading.local()


def main() -> None:
    """Print milliseconds per request of both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--delay", type=float, default=10.0, help="milliseconds that the server takes")
    delay = parser.parse_args().delay / 1000
    with subprocess.Popen([sys.executable, "-c", SERVER, str(delay)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        client = Http(f"http://127.0.0.1:{port}", send_key=False)
        ways = {
            "standard library": lambda _: standard_library(port),
            "Http": lambda _: client.post("/x", REQUEST, EchoCompletions),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        with ThreadPoolExecutor(IN_FLIGHT) as executor:
            for number in range(ROUNDS + 1):
                for name, ask in ways.items():
                    began = perf_counter()
                    list(executor.map(ask, range(REQUESTS)))
                    if number:  # the first round opens the connections
                        taken[name].append((perf_counter() - began) / REQUESTS * 1000)
        server.terminate()
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, milliseconds in medians.items():
        print(f"{name}: {milliseconds:.2f} ms per request")
    print(f"ratio: {medians['Http'] / medians['standard library']:.2f}")


if __name__ == "__main__":
    main()
