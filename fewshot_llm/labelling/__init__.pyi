from .files import (
    RESULT_COLUMNS as RESULT_COLUMNS,
    add_answers as add_answers,
    add_columns as add_columns,
    answered as answered,
    as_labels as as_labels,
)
from .replies import (
    gaps as gaps,
    read_answers as read_answers,
    reply_to as reply_to,
)
from .suggest import (
    ADDED_COLUMNS as ADDED_COLUMNS,
    PoolSimilarity as PoolSimilarity,
    Suggestion as Suggestion,
    Suggestions as Suggestions,
    Wish as Wish,
    choose as choose,
    suggest as suggest,
    uncertainty as uncertainty,
)
