from .defaults import LABEL_RUNGS as LABEL_RUNGS
from .lora import (
    Lora as Lora,
    Tuned as Tuned,
    TunedPredictor as TunedPredictor,
    lora_builder as lora_builder,
    lora_predictor as lora_predictor,
)
from .numbers import NumberLadder as NumberLadder
from .prompted import (
    Calibrated as Calibrated,
    InContext as InContext,
    PromptSetting as PromptSetting,
    RememberingScorer as RememberingScorer,
    ZeroShot as ZeroShot,
    allowed_search as allowed_search,
    candidate_settings as candidate_settings,
    languages_to_try as languages_to_try,
    score_settings as score_settings,
    with_setting as with_setting,
)
