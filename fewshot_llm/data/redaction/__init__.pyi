from .reading import (
    PERSONAL as PERSONAL,
    Kind as Kind,
    Span as Span,
)
from .redactor import (
    DEFAULT_REGIONS as DEFAULT_REGIONS,
    Redactor as Redactor,
    find_personal_data as find_personal_data,
)
