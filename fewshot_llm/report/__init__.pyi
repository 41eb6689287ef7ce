from .document import (
    Document as Document,
    Quote as Quote,
    Side as Side,
    Table as Table,
)
from .evaluation import evaluation_document as evaluation_document
from .render import (
    document_of as document_of,
    draw as draw,
    escaped as escaped,
    to_html as to_html,
    to_markdown as to_markdown,
    visible as visible,
    write_report as write_report,
)
