from .file import (
    Data as Data,
    ScriptRows as ScriptRows,
    Suite as Suite,
    SuiteData as SuiteData,
    eval_folder as eval_folder,
    list_suites as list_suites,
    load_suite as load_suite,
    read_data as read_data,
)
from .peers import (
    Peer as Peer,
    PeerError as PeerError,
    load_peers as load_peers,
    run_peer as run_peer,
)
from .result import (
    Cell as Cell,
    CellResult as CellResult,
    GroupSummary as GroupSummary,
    SuitePart as SuitePart,
    SuiteResult as SuiteResult,
    read_result as read_result,
    write_result as write_result,
)
from .run import (
    SuiteCallbacks as SuiteCallbacks,
    run_suite as run_suite,
)
