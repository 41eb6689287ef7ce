from .adapter import (
    SERVED_RANKS as SERVED_RANKS,
    BaseModel as BaseModel,
    LoraAdapter as LoraAdapter,
    LoraPair as LoraPair,
    normalise as normalise,
    read_adapter as read_adapter,
    read_base as read_base,
    served_rank as served_rank,
    write_adapter as write_adapter,
    write_merged as write_merged,
)
from .bundle import (
    SERVERS as SERVERS,
    BundleRecord as BundleRecord,
    changed_files as changed_files,
    read_bundle as read_bundle,
    serve_script as serve_script,
    write_bundle as write_bundle,
)
from .certificate import (
    Certificate as Certificate,
    Golden as Golden,
    GoldenRow as GoldenRow,
    Link as Link,
    certify as certify,
    record_golden as record_golden,
    require as require,
)
from .decision_model import decision_prompt as decision_prompt
from .gguf import (
    write_gguf_lora as write_gguf_lora,
    write_gguf_model as write_gguf_model,
)
from .lint import (
    RULES as RULES,
    Status as Status,
    lint as lint,
    refuse_broken as refuse_broken,
    worst as worst,
)
from .servers import (
    Launch as Launch,
    Server as Server,
    Target as Target,
    llama_cpp as llama_cpp,
    running as running,
    script as script,
    transformers_serve as transformers_serve,
)
from .source import (
    ExportSource as ExportSource,
    read_source as read_source,
)
from .verify import (
    CompletionServer as CompletionServer,
    DecisionServer as DecisionServer,
    verify as verify,
)
