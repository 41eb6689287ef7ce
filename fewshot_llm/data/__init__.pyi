from .cleaning import (
    CleaningReport as CleaningReport,
    Finding as Finding,
    alike_spellings as alike_spellings,
    describe as describe,
    spelling_findings as spelling_findings,
    spelling_key as spelling_key,
)
from .columns import (
    resolve_columns as resolve_columns,
    table_rows as table_rows,
)
from .diagnosis import (
    DoctorReport as DoctorReport,
    doctor as doctor,
)
from .example import (
    Example as Example,
    as_text as as_text,
    label_name as label_name,
    readable_text as readable_text,
)
from .label_file import with_label_file as with_label_file
from .language import (
    detect_language as detect_language,
    normalise_text as normalise_text,
    readable_label as readable_label,
    written_language as written_language,
)
from .problem import Problem as Problem
from .support_set import (
    Leak as Leak,
    SupportSet as SupportSet,
    folds as folds,
    queries as queries,
    readable_rows as readable_rows,
)
from .tabular import (
    TableVerbalizer as TableVerbalizer,
    missing as missing,
)
from .task import (
    Task as Task,
    list_tasks as list_tasks,
    load_task as load_task,
    prompts_folder as prompts_folder,
)
