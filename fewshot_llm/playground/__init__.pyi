from .page import (
    history_rows as history_rows,
    pasted_texts as pasted_texts,
    prediction_rows as prediction_rows,
    predictions_file as predictions_file,
    status_line as status_line,
    support_rows as support_rows,
    template_source as template_source,
    training_log as training_log,
)
from .serve import (
    AccessMiddleware as AccessMiddleware,
    PageAddress as PageAddress,
    is_loopback as is_loopback,
    listen as listen,
)
from .session import (
    Accuracy as Accuracy,
    PlaygroundSession as PlaygroundSession,
    SupportFile as SupportFile,
)
from .words import (
    CHINESE as CHINESE,
    ENGLISH as ENGLISH,
    words_of as words_of,
)
