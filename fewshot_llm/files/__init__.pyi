from .atomic import (
    Holder as Holder,
    atomic_folder as atomic_folder,
    atomic_write as atomic_write,
    atomic_write_json as atomic_write_json,
    atomic_write_text as atomic_write_text,
    folder_lock as folder_lock,
    holder_of as holder_of,
    require_free as require_free,
    sha256_file as sha256_file,
    sole_writer as sole_writer,
)
from .formats import (
    Note as Note,
    Reading as Reading,
    RepeatedName as RepeatedName,
    RowProblem as RowProblem,
    json_list as json_list,
    kind_of as kind_of,
)
from .reading import (
    Rows as Rows,
    count_rows as count_rows,
    iter_rows as iter_rows,
    load_rows as load_rows,
    read_rows as read_rows,
    scan_rows as scan_rows,
)
from .values import (
    as_number as as_number,
    is_missing as is_missing,
    is_number as is_number,
    json_value as json_value,
    number_column as number_column,
    same_value as same_value,
    text_of as text_of,
    typed_value as typed_value,
)
from .writing import (
    Excel as Excel,
    columns_of as columns_of,
    require_writable as require_writable,
    result_names as result_names,
    write_rows as write_rows,
    written_form as written_form,
)
