from .builder import (
    Budget as Budget,
    Prompt as Prompt,
    PromptBuilder as PromptBuilder,
    bytes_to_read as bytes_to_read,
    cut_middle as cut_middle,
    leaving_order as leaving_order,
)
from .chat import (
    Chat as Chat,
    Layout as Layout,
    Plain as Plain,
    Shell as Shell,
)
from .defence import (
    SIGNS as SIGNS,
    STANDARD as STANDARD,
    UNDEFENDED as UNDEFENDED,
    Armed as Armed,
    Defence as Defence,
    DefenceContext as DefenceContext,
    PromptShape as PromptShape,
    Quoted as Quoted,
    Reminded as Reminded,
    VisibleOnly as VisibleOnly,
    WithoutInjections as WithoutInjections,
    as_defence as as_defence,
    shape_signs as shape_signs,
    shows as shows,
    unusual as unusual,
)
from .fields import (
    Fields as Fields,
    field_texts as field_texts,
    neutralise as neutralise,
)
from .selection import (
    Balanced as Balanced,
    Bm25 as Bm25,
    Diverse as Diverse,
    IdentityLRU as IdentityLRU,
    Nearest as Nearest,
    NearestHidden as NearestHidden,
    RandomOrder as RandomOrder,
    Selection as Selection,
    own_rows as own_rows,
    terms as terms,
)
from .template import (
    MOST_SOURCE as MOST_SOURCE,
    Frame as Frame,
    Item as Item,
    Template as Template,
    TemplateContext as TemplateContext,
    compile_template as compile_template,
    load_template as load_template,
)
