"""The names that users choose among; apart, so that the command line knows them without loading anything heavy."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Server", "Storage", "Target"]


class Target(StrEnum):
    """What an adapter is exported to."""

    PEFT = "peft"
    MERGED = "merged"
    GGUF_LORA = "gguf-lora"
    GGUF_MERGED = "gguf-merged"
    OLLAMA = "ollama"
    DECISION = "decision"


class Server(StrEnum):
    """The programs that may be given an adapter, at the versions whose sources the linter's rules were read from."""

    VLLM = "vllm"  # 0.32
    SGLANG = "sglang"  # 0.5.23
    LLAMA_CPP = "llama.cpp"
    OLLAMA = "ollama"  # the route that takes safetensors; a GGUF is llama.cpp's column
    TRANSFORMERS = "transformers"  # `transformers serve` 5.24
    TGI = "tgi-lorax"  # in maintenance mode and dormant: rows to read, nothing is built for them


class Storage(StrEnum):
    """Number format of a GGUF file's matrices; norms and biases are always float32."""

    F32 = "f32"
    F16 = "f16"
    Q8_0 = "q8_0"
