"""Adapters of every odd kind, made with peft on the tiny models."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from fewshot_llm.export import BaseModel, read_base
from tests.conftest import tiny_model

MakeAdapter = Callable[..., Path]


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The Hugging Face folder of a tiny model, written once per shape."""
    root = tmp_path_factory.mktemp("bases")

    def folder(shape: str) -> Path:
        path = root / shape
        if not path.is_dir():
            tiny = tiny_model(shape)
            tiny.model.save_pretrained(path)
            tiny.tokenizer.save_pretrained(path)
        return path

    return folder


@pytest.fixture
def base(base_folder: Callable[[str], Path]) -> BaseModel:
    """The tiny Llama."""
    return read_base(base_folder("llama"))


@pytest.fixture
def make_adapter(tmp_path: Path, base_folder: Callable[[str], Path]) -> MakeAdapter:
    """`make_adapter(shape="llama", name="adapter", **LoraConfig fields) -> folder`, with strong random "
    "weights."""

    def make(shape: str = "llama", name: str = "adapter", seed: int = 0, **fields: Any) -> Path:
        settings = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]} | fields
        model = get_peft_model(deepcopy(tiny_model(shape).model), LoraConfig(**settings))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if "lora_" in parameter_name:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
        model.peft_config["default"].base_model_name_or_path = str(base_folder(shape))
        model.save_pretrained(tmp_path / name)
        return tmp_path / name

    return make
