from .attacks import (
    Attack as Attack,
    Attacked as Attacked,
    attack as attack,
    attacked_text as attacked_text,
    compare_defence as compare_defence,
    load_attacks as load_attacks,
    rows_to_attack as rows_to_attack,
)
from .compare import (
    compare_methods as compare_methods,
    compare_results as compare_results,
    group_name as group_name,
    regressions as regressions,
)
from .evaluate import (
    PrecisionEvidence as PrecisionEvidence,
    check_precision as check_precision,
    evaluate as evaluate,
    evaluate_fitted as evaluate_fitted,
    measure_precision as measure_precision,
    models_of as models_of,
)
from .figures import (
    Extrapolation as Extrapolation,
    class_figures as class_figures,
    coverage_at as coverage_at,
    extrapolate as extrapolate,
    least_sure as least_sure,
    mixups as mixups,
    power_law as power_law,
    power_law_value as power_law_value,
    reliability as reliability,
    risk_coverage as risk_coverage,
    sizes as sizes,
    surest_mistakes as surest_mistakes,
    uncalibrated as uncalibrated,
)
from .result import (
    AttackFigures as AttackFigures,
    Evaluation as Evaluation,
    ExplainedRow as ExplainedRow,
    Figures as Figures,
    Row as Row,
    Run as Run,
    ShownPrompt as ShownPrompt,
    TestRows as TestRows,
    as_document as as_document,
    from_document as from_document,
    git_commit as git_commit,
    machine as machine,
    read_evaluation as read_evaluation,
    summarise as summarise,
)
from .table_baseline import (
    LANGUAGE_MODEL as LANGUAGE_MODEL,
    out_of_fold_scores as out_of_fold_scores,
    recommend as recommend,
    recommend_for_table as recommend_for_table,
    table_estimators as table_estimators,
)
