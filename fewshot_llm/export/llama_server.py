"""llama.cpp's own HTTP server from the package `xllamacpp`, for machines without a `llama-server` binary.

    python -m fewshot_llm.export.llama_server -m base.gguf --lora adapter.gguf --host 127.0.0.1 --port 8080

It understands the few flags of `llama-server` that a bundle's `serve.sh` uses.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Sequence

from fewshot_llm.errors import ServerError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until the process is told to end.

    Raises:
        ServerError: `xllamacpp` is not installed.
    """
    parser = argparse.ArgumentParser(prog="llama-server", description="llama.cpp's server from the package xllamacpp.")
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--lora", action="append", default=[])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("-c", "--ctx-size", type=int, default=0)
    parser.add_argument("-np", "--parallel", type=int, default=1)
    # As llama-server itself reads it; all cores without it.
    parser.add_argument("-t", "--threads", type=int, default=int(os.environ.get("LLAMA_ARG_THREADS", "0")))
    parser.add_argument("-ctk", "--cache-type-k", choices=("f16", "f32"), default="f16")
    parser.add_argument("-ctv", "--cache-type-v", choices=("f16", "f32"), default="f16")
    parser.add_argument("-fa", "--flash-attn", choices=("auto", "off"), default="auto")
    parser.add_argument("--cache-ram", type=int, default=8192)
    options = parser.parse_args(argv)
    try:
        import xllamacpp
    except ImportError:
        raise ServerError(
            "There is no llama.cpp here. Install it with `pip install fewshot-llm[llamacpp]`, or put a llama-server "
            "on the PATH."
        ) from None

    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in options.lora]
    params.hostnames = [options.host]
    params.port = options.port
    params.n_ctx = options.ctx_size
    params.n_parallel = options.parallel
    if options.threads:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    types = {"f16": xllamacpp.ggml_type.GGML_TYPE_F16, "f32": xllamacpp.ggml_type.GGML_TYPE_F32}
    params.cache_type_k, params.cache_type_v = types[options.cache_type_k], types[options.cache_type_v]
    if options.flash_attn == "off":
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_ram_mib = options.cache_ram
    # Whoever can reach the port may ask anything: pages of other origins are kept out, and so is the web page.
    params.cors_origins, params.ui = "", False

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = xllamacpp.Server(params)
    print(f"listening on {server.listening_address}", flush=True)
    stop.wait()


if __name__ == "__main__":
    main()
