from .folder import load_artifact as load_artifact, read_decision as read_decision, save_artifact as save_artifact
from .kinds import Artifact as Artifact
from .parts import restore_selection as restore_selection, selection_record as selection_record
from .record import (
    FILES as FILES,
    AnyRecord as AnyRecord,
    BaseRecord as BaseRecord,
    CalibrationRecord as CalibrationRecord,
    ClassificationRecord as ClassificationRecord,
    LinearRecord as LinearRecord,
    MixtureRecord as MixtureRecord,
    PromptRecord as PromptRecord,
    TrainingRecord as TrainingRecord,
    check_task as check_task,
    installed_versions as installed_versions,
    read_record as read_record,
)
