"""The rungs that are climbed where the user names none."""

from __future__ import annotations

from fewshot_llm.errors import TuningError, nearest
from fewshot_llm.ladder.base import Ladder, Rung
from fewshot_llm.ladder.rungs.encoder import EncoderHead, EncoderNames, LargeEncoderHead, LargeEncoderNames
from fewshot_llm.ladder.rungs.hidden_head import HiddenHead
from fewshot_llm.ladder.rungs.lora import Lora
from fewshot_llm.ladder.rungs.mixture import Mixture
from fewshot_llm.ladder.rungs.prompted import Calibrated, InContext, ZeroShot
from fewshot_llm.ladder.rungs.words import Words

__all__ = ["LABEL_RUNGS", "QUICK_RUNGS", "one_rung", "quick_ladder"]

QUICK_RUNGS: tuple[Rung, ...] = (
    Words(),
    EncoderNames(),
    EncoderHead(),
    InContext(search=False),
    Calibrated(),
    HiddenHead(),
    Mixture(),
)
"""For labels, without training: what answers where the user wishes for nothing else."""

LABEL_RUNGS: tuple[Rung, ...] = (
    Words(),
    EncoderNames(),
    EncoderHead(),
    LargeEncoderNames(),
    LargeEncoderHead(),
    ZeroShot(),
    InContext(),
    Calibrated(),
    HiddenHead(),
    Lora(),
    Mixture(),
)
"""For labels, from the cheapest to the most expensive, and the mixture of them all."""


def quick_ladder(seed: int = 0) -> Ladder:
    """All rungs that train nothing: together they cost less than a wrong choice, so none is left out.

    Args:
        seed: the only source of chance.
    """
    return Ladder(target=1.0, seed=seed, rungs=QUICK_RUNGS)


def one_rung(name: str, seed: int = 0) -> Ladder:
    """A ladder of one rung, whatever the evidence says.

    Args:
        name: of the rung; one that asks a prompt asks it as it is.
        seed: the only source of chance.

    Raises:
        TuningError: there is no such rung, or it is made of the others.

    >>> [rung.name for rung in one_rung("words").rungs]
    ['words']
    """
    alone = {rung.name: rung for rung in (*LABEL_RUNGS, *QUICK_RUNGS) if not isinstance(rung, Mixture)}
    if name not in alone:
        made = "A mixture is made of other rungs: leave the choice open. " if name == Mixture.name else ""
        raise TuningError(f"There is no rung {name!r} that stands alone. {made}{nearest(name, alone)}")
    return Ladder(target=1.0, seed=seed, rungs=(alone[name],))
