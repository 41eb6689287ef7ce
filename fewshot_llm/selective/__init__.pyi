from .costs import (
    Costs as Costs,
    fit_shift as fit_shift,
    read_costs as read_costs,
)
from .out_of_scope import (
    LabelledTexts as LabelledTexts,
    ScopeScore as ScopeScore,
    fit_scope as fit_scope,
    leave_classes_out as leave_classes_out,
    rows_for_alarms as rows_for_alarms,
    scope_scores as scope_scores,
)
from .policy import (
    SelectivePolicy as SelectivePolicy,
    SelectivePrediction as SelectivePrediction,
    answers_out_of_fold as answers_out_of_fold,
)
from .risk_control import (
    error_bound as error_bound,
    fit_contract as fit_contract,
    rows_needed as rows_needed,
)
