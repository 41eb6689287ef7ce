from .cache import (
    CONVERSION as CONVERSION,
    SMALL as SMALL,
    CachedFile as CachedFile,
    ModelRecord as ModelRecord,
    cache_folder as cache_folder,
    cached_sha256 as cached_sha256,
    folder_size as folder_size,
    model_folder as model_folder,
    read_record as read_record,
    require_whole_weights as require_whole_weights,
)
from .convert_encoder import convert_e5 as convert_e5, unpack_sentence_transformers as unpack_sentence_transformers
from .device import (
    agreed as agreed,
    available_cores as available_cores,
    choose_device as choose_device,
    choose_dtype as choose_dtype,
    cpu_has_bfloat16 as cpu_has_bfloat16,
    is_first as is_first,
    keep_freed_memory as keep_freed_memory,
    limit_threads as limit_threads,
    place as place,
    several as several,
)
from .encoder import Encoder as Encoder, check_parts as check_parts, load_encoder as load_encoder
from .licence import (
    TERMS_FILE as TERMS_FILE,
    ask_on_terminal as ask_on_terminal,
    licence_of as licence_of,
    notice as notice,
    terms_text as terms_text,
)
from .linear import (
    OneDnnLinear as OneDnnLinear,
    multiply_by_onednn as multiply_by_onednn,
    onednn_is_faster as onednn_is_faster,
    padded as padded,
    product_of as product_of,
)
from .listing import (
    gguf_path as gguf_path,
    list_models as list_models,
    show_model as show_model,
    verify_model as verify_model,
)
from .load import (
    LanguageModel as LanguageModel,
    attach_adapter as attach_adapter,
    decoder_layers as decoder_layers,
    load_model as load_model,
)
from .locate import locate_model as locate_model
from .pull import (
    convert_local as convert_local,
    pull as pull,
    pull_model as pull_model,
)
from .registry import (
    EMBEDDED as EMBEDDED,
    EmbeddedModel as EmbeddedModel,
    Licence as Licence,
    Part as Part,
    find_model as find_model,
    resolve_auto as resolve_auto,
    resolve_encoder as resolve_encoder,
)
from .trust import (
    API_KEY as API_KEY,
    RecordedModel as RecordedModel,
    is_elsewhere as is_elsewhere,
    key_for as key_for,
)
