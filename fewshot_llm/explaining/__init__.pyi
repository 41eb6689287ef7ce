from .explain import (
    MOST as MOST,
    Explanation as Explanation,
    Passage as Passage,
    Shown as Shown,
    Spans as Spans,
    Variant as Variant,
    Word as Word,
    explain as explain,
    score_variants as score_variants,
    without_span as without_span,
    word_spans as word_spans,
)
from .html import explanation_html as explanation_html
