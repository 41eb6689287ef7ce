from .base import LabelProbabilities as LabelProbabilities, Prediction as Prediction, Predictor as Predictor
from .build import (
    make_builder as make_builder,
    make_scorer as make_scorer,
    make_task as make_task,
    resources_of as resources_of,
    text_language as text_language,
    warn_of_language as warn_of_language,
)
from .choices import (
    Basket as Basket,
    BasketCounts as BasketCounts,
    Choice as Choice,
    TextSimilarity as TextSimilarity,
    as_choices as as_choices,
    as_titles as as_titles,
    read_baskets as read_baskets,
)
from .linear import (
    EncoderFeatures as EncoderFeatures,
    Features as Features,
    HiddenFeatures as HiddenFeatures,
    LinearHead as LinearHead,
    LinearPredictor as LinearPredictor,
    WordFeatures as WordFeatures,
    fit_head as fit_head,
)
from .mixture import MixturePredictor as MixturePredictor, pooled as pooled
from .multilabel import (
    best_threshold as best_threshold,
    fit_reading as fit_reading,
    pair_task as pair_task,
)
from .numbers import (
    Correction as Correction,
    Grid as Grid,
    Line as Line,
    Linear as Linear,
    Monotone as Monotone,
    Steps as Steps,
    expected as expected,
    ridge_line as ridge_line,
)
from .out_of_fold import (
    plan_folds as plan_folds,
    score_held_out as score_held_out,
)
from .prompted import (
    Inference as Inference,
    MeanPerToken as MeanPerToken,
    PointwiseMutualInformation as PointwiseMutualInformation,
    PromptedPredictor as PromptedPredictor,
    Sum as Sum,
    as_normalisation as as_normalisation,
    prompted_in as prompted_in,
)
from .ranking import (
    NOTHING as NOTHING,
    ChoiceMix as ChoiceMix,
    LetterPrompt as LetterPrompt,
    PmiPrompt as PmiPrompt,
    RankingContext as RankingContext,
    RankingPrompt as RankingPrompt,
    TitlePrompt as TitlePrompt,
    YesNoPrompt as YesNoPrompt,
    first_only as first_only,
    fit_choice_mix as fit_choice_mix,
)
from .resources import Resources as Resources, Unavailable as Unavailable
