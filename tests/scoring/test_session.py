"""Scoring that is stopped after any forward pass goes on to the same bits, and runs no more passes than it must."""

from __future__ import annotations

from threading import Event, Thread
from typing import Any

import pytest

from fewshot_llm.models import LanguageModel
from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import Session, Stopped, TreeScorer, base, check_stop, current_session, tree_scorer as cached

SHARED = "Review: the parcel came late and the box was broken\nSentiment: negative\n" * 6
PROMPTS = [
    Prompt(f"{SHARED * (1 + row % 2)}Review: arrived {row % 7} late, {row}\nSentiment:", (" positive", " negative"))
    for row in range(24)
]


class StopAfter(Session):
    """Stopped when so many passes were begun."""

    def __init__(self, passes: int, kept: dict[str, bytes]) -> None:
        super().__init__(Event(), kept)
        self.left = passes

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Stopped


def _scores(scorer: TreeScorer) -> bytes:
    return b"".join(scores.log_probs.tobytes() for scores in scorer.log_probs(PROMPTS))


@pytest.mark.parametrize(("budget", "head_rows"), [(48, 8), (48, 512), (160, 512)])
def test_a_call_that_is_stopped_anywhere_ends_in_the_same_bits(
    any_model: LanguageModel, monkeypatch: pytest.MonkeyPatch, budget: int, head_rows: int
) -> None:
    monkeypatch.setattr(cached, "HEAD_ROWS", head_rows)
    undisturbed, alone = TreeScorer(any_model, budget), TreeScorer(any_model, budget)
    expected = _scores(undisturbed)
    alone.log_probs(PROMPTS[1:2])
    passes, shared = undisturbed.profile.passes, alone.profile.passes
    for stop_after in range(1, passes, max(1, passes // 5)):
        first, scorer = StopAfter(stop_after, {}), TreeScorer(any_model, budget)
        with first.active(), pytest.raises(Stopped):
            _scores(scorer)
        with StopAfter(10**6, first.take()).active():
            assert _scores(scorer) == expected
        # What was run is not run again, but for the keys and values of the shared beginning, which may be cut in two
        # where rows branch off.
        assert scorer.profile.passes <= passes - stop_after + shared + 2


def test_a_call_that_is_stopped_again_and_again_goes_on(llama: LanguageModel) -> None:
    expected = _scores(TreeScorer(llama, 64))
    kept: dict[str, bytes] = {}
    for _ in range(100):
        one = StopAfter(20, kept)
        try:
            with one.active():
                found = _scores(TreeScorer(llama, 64))
            break
        except Stopped:
            kept |= one.take()
    assert found == expected


def test_the_state_belongs_to_prompts_budget_and_model(llama: LanguageModel) -> None:
    first = StopAfter(2, {})
    with first.active(), pytest.raises(Stopped):
        TreeScorer(llama, 64).log_probs(PROMPTS)
    again = StopAfter(10**6, first.take())
    with again.active():
        other = TreeScorer(llama, 96)
        other.log_probs(PROMPTS)
        shorter = TreeScorer(llama, 64)
        shorter.log_probs(PROMPTS[:-1])
    calm = TreeScorer(llama, 96)
    calm.log_probs(PROMPTS)
    assert other.profile.passes == calm.profile.passes


def test_states_are_kept_unasked_now_and_then(llama: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "OFTEN", 0.0)
    kept: list[int] = []

    class Watched(Session):
        def keep(self, key: str, state: bytes, prompts: int) -> None:
            kept.append(prompts)
            super().keep(key, state, prompts)

    with Watched(Event()).active():
        TreeScorer(llama, 64).log_probs(PROMPTS)
    assert len(kept) > 4
    assert kept == sorted(kept)
    assert kept[-1] == len(PROMPTS)


def test_a_session_belongs_to_its_thread() -> None:
    stop = Event()
    stop.set()
    seen: list[Any] = []
    with Session(stop).active():
        thread = Thread(target=lambda: seen.append(current_session()))
        thread.start()
        thread.join()
        with pytest.raises(Stopped):
            check_stop()
    check_stop()
    assert seen == [None]
    assert current_session() is None
