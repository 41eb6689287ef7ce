from .defaults import (
    LABEL_RUNGS as LABEL_RUNGS,
    QUICK_RUNGS as QUICK_RUNGS,
    one_rung as one_rung,
    quick_ladder as quick_ladder,
)
from .encoder import (
    EncoderHead as EncoderHead,
    EncoderNames as EncoderNames,
    LargeEncoderHead as LargeEncoderHead,
    LargeEncoderNames as LargeEncoderNames,
)
from .hidden_head import HiddenHead as HiddenHead
from .lora import (
    Lora as Lora,
    Tuned as Tuned,
    TunedPredictor as TunedPredictor,
    lora_builder as lora_builder,
    lora_predictor as lora_predictor,
)
from .mixture import Mixture as Mixture, fit_weights as fit_weights
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
from .words import Words as Words, words_predictor as words_predictor
