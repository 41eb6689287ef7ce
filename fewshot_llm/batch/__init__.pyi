from .drift import (
    SupportProfile as SupportProfile,
    drift_warnings as drift_warnings,
)
from .job import (
    BatchReport as BatchReport,
    Output as Output,
    job_lock as job_lock,
)
from .labeller import (
    Answer as Answer,
    ClassifierLabeller as ClassifierLabeller,
    Labeller as Labeller,
    Rendered as Rendered,
    SavedClassifier as SavedClassifier,
    combine as combine,
    support_profile as support_profile,
)
from .manifest import (
    ERRORS as ERRORS,
    JOURNAL as JOURNAL,
    Disk as Disk,
    Journal as Journal,
    ShardEntry as ShardEntry,
)
from .progress import (
    Meter as Meter,
    Snapshot as Snapshot,
    estimate_job as estimate_job,
    json_lines as json_lines,
    prometheus_textfile as prometheus_textfile,
)
from .ray import (
    Cluster as Cluster,
    ServedLabels as ServedLabels,
    TableLabeller as TableLabeller,
    run_batch_on_ray as run_batch_on_ray,
)
from .runner import (
    ResultCache as ResultCache,
    run_batch as run_batch,
)
from .shards import (
    OTHER_COLUMNS as OTHER_COLUMNS,
    OUTPUT_COLUMNS as OUTPUT_COLUMNS,
)
from .sources import (
    FileSource as FileSource,
    HubSource as HubSource,
    open_source as open_source,
)
from .work import (
    Fitted as Fitted,
    LongText as LongText,
    Settings as Settings,
    fit as fit,
)
