from .attention import (
    ALIGNMENT as ALIGNMENT,
    HIDDEN as HIDDEN,
    KeyValues as KeyValues,
    PassPlan as PassPlan,
    attend as attend,
    attend_band as attend_band,
    attend_plainly as attend_plainly,
    merge as merge,
)
from .base import (
    LabelScores as LabelScores,
    PromptLimits as PromptLimits,
    Session as Session,
    Stopped as Stopped,
    TopLabels as TopLabels,
    check_stop as check_stop,
    current_session as current_session,
    local_model as local_model,
    prompt_limits as prompt_limits,
    require_local as require_local,
)
from .encoding import (
    Encoded as Encoded,
    encode as encode,
    encode_slowly as encode_slowly,
    leading_ids as leading_ids,
)
from .head import (
    causal_network as causal_network,
    last_layer_at as last_layer_at,
)
from .passes import (
    Pass as Pass,
    Profile as Profile,
    body_flops as body_flops,
    describe_profile as describe_profile,
    matrix_peak as matrix_peak,
    path_capacity as path_capacity,
    plan_pass as plan_pass,
    profile_of as profile_of,
    run_body as run_body,
    schedule as schedule,
)
from .reference import (
    ReferenceScorer as ReferenceScorer,
    best_of as best_of,
)
from .search import (
    Frontier as Frontier,
    Goal as Goal,
)
from .token_tree import (
    TokenTree as TokenTree,
    build_tree as build_tree,
    build_trie as build_trie,
)
from .tree_scorer import (
    SMALLEST as SMALLEST,
    TreeScorer as TreeScorer,
    choose_scorer as choose_scorer,
    halve_on_out_of_memory as halve_on_out_of_memory,
    probe_difference as probe_difference,
)
from .vectors import (
    MeanHiddenState as MeanHiddenState,
    OneWordState as OneWordState,
    one_word_states as one_word_states,
)
