from __future__ import annotations

import logging

import pytest
import torch

from fewshot_llm.errors import ModelError
from fewshot_llm.models import choose_device, choose_dtype, cpu_has_bfloat16, device as module, place

CPU = torch.device("cpu")


def test_the_best_device_that_is_there() -> None:
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device().type == expected
    assert choose_device("auto").type == expected


@pytest.mark.parametrize("name", ["abacus", "xpu", "cuda:99"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(ModelError, match=r"cpu|CUDA"):
        choose_device(name)


def test_one_card_is_not_shared_by_the_processes_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """NCCL takes one process a card; the check reads only what a launcher sets, so no card is needed to see it."""
    for name, value in (("LOCAL_RANK", "1"), ("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    with pytest.raises(ModelError, match=r"'cuda:0' is one card, and 2 processes .* say 'cuda'"):
        choose_device("cuda:0")
    assert choose_device("cpu:0").type == "cpu"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(ModelError, match=r"cpu|CUDA"):
        choose_device("cuda:99")


def test_float32_on_a_cpu_and_bfloat16_on_a_gpu() -> None:
    assert choose_dtype(CPU) == torch.float32
    assert choose_dtype(torch.device("mps")) == torch.bfloat16
    assert choose_dtype(torch.device("mps"), "float32") == torch.float32


def test_a_format_without_instructions_is_replaced_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "cpu_has_bfloat16", lambda: False)
    assert choose_dtype(CPU, "bfloat16") == torch.float32
    assert "no instructions for bfloat16; the model runs in float32" in caplog.text
    caplog.clear()
    assert choose_dtype(CPU, "float32") == torch.float32
    assert caplog.text == ""


def test_bfloat16_on_a_cpu_only_if_asked_and_able(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        chosen = choose_dtype(CPU, "bfloat16")
    assert (chosen == torch.bfloat16) == cpu_has_bfloat16()
    assert bool(caplog.records) != cpu_has_bfloat16()


def test_an_unknown_format() -> None:
    with pytest.raises(ModelError, match=r"int8.*expected one of float32, bfloat16, float16"):
        choose_dtype(CPU, "int8")


def test_everything_on_one_device_where_it_fits() -> None:
    assert place(CPU, 10**15, spread=True) == {"": "cpu"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_layers_are_spread_only_where_they_do_not_fit_and_no_card_was_named() -> None:
    card = torch.device("cuda:0")
    assert place(card, 1, spread=True) == {"": "cuda:0"}
    assert place(card, 10**15, spread=True) == "auto"
    assert place(card, 10**15, spread=False) == {"": "cuda:0"}
