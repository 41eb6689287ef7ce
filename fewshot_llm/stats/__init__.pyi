from .calibration import (
    Batch as Batch,
    Calibration as Calibration,
    Contextual as Contextual,
    OutOfFold as OutOfFold,
    Uncalibrated as Uncalibrated,
    batch as batch,
    calibrated_out_of_fold as calibrated_out_of_fold,
    contextual as contextual,
    fit_bias_temperature as fit_bias_temperature,
    identity as identity,
    nested_choice as nested_choice,
)
from .conformal import (
    CrossValidationPlus as CrossValidationPlus,
    rows_for_level as rows_for_level,
)
from .intervals import (
    Bounds as Bounds,
    Interval as Interval,
    balanced_share_interval as balanced_share_interval,
    bootstrap as bootstrap,
    difference_interval as difference_interval,
    estimand as estimand,
    mcnemar as mcnemar,
    mean_bounds as mean_bounds,
    mean_interval as mean_interval,
    paired_bootstrap as paired_bootstrap,
    proportion as proportion,
    rows_needed as rows_needed,
    share_bounds as share_bounds,
    share_interval as share_interval,
)
from .metrics import (
    accuracy as accuracy,
    area_under_curve as area_under_curve,
    balanced_accuracy as balanced_accuracy,
    brier_scores as brier_scores,
    confusion as confusion,
    expected_calibration_error as expected_calibration_error,
    hit_at as hit_at,
    log_loss as log_loss,
    loss_reach as loss_reach,
    macro_f1 as macro_f1,
    mean_reciprocal_rank as mean_reciprocal_rank,
    ndcg as ndcg,
    ranks as ranks,
    row_losses as row_losses,
)
from .selection import (
    fold_weights as fold_weights,
    held_out_choice as held_out_choice,
    smallest_loss as smallest_loss,
)
