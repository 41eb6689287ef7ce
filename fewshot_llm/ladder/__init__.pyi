from .base import (
    Candidate as Candidate,
    Climb as Climb,
    Ladder as Ladder,
    LadderCallbacks as LadderCallbacks,
    Prefer as Prefer,
    Rung as Rung,
    Skipped as Skipped,
    check_target as check_target,
)
from .climb import (
    LadderResult as LadderResult,
    check_support as check_support,
    climb_rungs as climb_rungs,
    run_ladder as run_ladder,
)
from .decision import (
    Decision as Decision,
    decide as decide,
)
from .evidence import (
    Evidence as Evidence,
    Figure as Figure,
    LabelEvidence as LabelEvidence,
    NumberEvidence as NumberEvidence,
    compare as compare,
    label_evidence as label_evidence,
    number_evidence as number_evidence,
)
from .rungs import (
    LABEL_RUNGS as LABEL_RUNGS,
    QUICK_RUNGS as QUICK_RUNGS,
    one_rung as one_rung,
    quick_ladder as quick_ladder,
)
from .zero_rows import zero_rows as zero_rows
