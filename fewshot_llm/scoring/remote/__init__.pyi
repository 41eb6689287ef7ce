from .candidates import (
    MOST_TOKENS as MOST_TOKENS,
    NamedTokens as NamedTokens,
    TopLists as TopLists,
    free_slots as free_slots,
    lora_scales as lora_scales,
    takes_named_tokens as takes_named_tokens,
)
from .http import (
    Http as Http,
    parse_address as parse_address,
)
from .scorer import (
    RemoteScorer as RemoteScorer,
    connect as connect,
)
from .servers import (
    Echo as Echo,
    EchoCompletions as EchoCompletions,
    ModelList as ModelList,
)
