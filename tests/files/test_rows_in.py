"""The one reader: whatever a table looks like, no row is lost, none is swallowed, and what is wrong has a line."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from fewshot_llm.batch import open_source
from fewshot_llm.data import SupportSet, load_task, resolve_columns
from fewshot_llm.errors import DataFileError, FewshotError, SupportError
from fewshot_llm.files import count_rows, load_rows, read_rows, scan_rows

SUPPORT = """text,label
Fast shipping and great quality,positive
"Will order again, love it",positive
Soft fabric and fits well,positive
Arrived broken,negative
Stopped working after one day,negative
Seams came apart at once,negative
"""
AMAZON = (
    'review_id\treview_body\tstars\nR1\tFast shipping and good\t5\nR2\t"Best buy ever\t5\nR3\tArrived broken\t1\n'
    'R4\tScreen cracked\t1\nR5\t"Smart" they said, it is not\t2\nR6\tLove it\t5\n'
)
GBK_ROW = b"id,text\n1,Fast shipping\n2," + "质量太差了，再也不买".encode("gbk") + b"\n3,Love it\n"

Write = Callable[[str, "bytes | str"], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(name, content)`: a file with this content."""

    def run(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return run


def codes(path: Path) -> list[str]:
    return [note.code for note in load_rows(path).notes]


def kinds(path: Path) -> dict[int, str]:
    return {position: problem.kind for position, problem in load_rows(path).problems.items()}


# Quotes


def test_tabs_and_inches_are_read_without_quotes(write: Write) -> None:
    rows = read_rows(write("amazon.tsv", AMAZON))
    assert [row["review_body"] for row in rows][1:5] == [
        '"Best buy ever',
        "Arrived broken",
        "Screen cracked",
        '"Smart" they said, it is not',
    ]
    assert [note.code for note in rows.notes] == ["unquoted"]
    assert "line 3" in rows.notes[0].english


def test_a_quote_that_closes_two_rows_later_swallows_none(write: Write) -> None:
    path = write("amazon.tsv", AMAZON.replace("Screen cracked", 'Screen of 55"'))
    assert len(read_rows(path)) == 6
    assert codes(path) == ["unquoted"]


def test_one_quote_too_few_in_a_file_with_quotes_is_named_where_it_opens(write: Write) -> None:
    table = 'id,text\n1,"Fast, good"\n2,"Good value\n3,Arrived broken\n4,"Love it, really"\n5,Fine\n'
    path = write("a.csv", table)
    rows = load_rows(path)
    assert [row.get("id") for row in rows] == ["1", None, "3", "4", "5"]
    assert rows.problems[1].kind == "unclosed-quote"
    assert rows.lines == {1: 3}
    with pytest.raises(DataFileError, match="line 3: The double quote that opens in line 3"):
        read_rows(path)
    assert count_rows(path) == 5


@pytest.mark.parametrize("at", [0, 1, 4, 9_999])
def test_a_stray_quote_in_one_of_ten_thousand_rows(write: Write, at: int) -> None:
    lines = [f'{number},"Fast, and good {number}",{number % 5}' for number in range(10_000)]
    lines[at] = f'{at},"Fast and good,{at % 5}'
    path = write("a.csv", "id,text,stars\n" + "\n".join(lines) + "\n")
    rows = load_rows(path)
    assert len(rows) == 10_000
    assert rows.lines == {at: at + 2}
    assert [row["id"] for position, row in enumerate(rows) if position != at] == [
        str(number) for number in range(10_000) if number != at
    ]


def test_a_quote_that_swallows_rows_and_closes_as_csv_does_is_named(write: Write) -> None:
    table = 'id,text\n1,"Great, really"\n2,"Good value\n3,Arrived broken\n4,TV of 55"\n5,Love it\n'
    rows = load_rows(write("a.csv", table))
    assert [row.get("id") for row in rows] == ["1", None, "3", "4", "5"]
    assert rows.lines == {1: 3}


def test_a_quote_that_opens_in_the_last_row(write: Write) -> None:
    assert kinds(write("a.csv", 'text,n\n"a, b",1\n"c,2')) == {1: "unclosed-quote"}
    assert kinds(write("b.csv", 'text,n\nab,1\n"c,2')) == {}
    assert read_rows(write("b.csv", 'text,n\nab,1\n"c,2'))[1] == {"text": '"c', "n": "2"}


def test_a_quote_may_span_many_lines(write: Write) -> None:
    text = "\n".join(f"line {number}, and more" for number in range(500))
    path = write("a.csv", f'id,text,stars\n1,short,5\n2,"{text}",1\n3,late,2\n')
    rows = read_rows(path)
    assert [row["text"] for row in rows] == ["short", text, "late"]
    assert [reading.line for reading in scan_rows(path)] == [2, 3, 503]
    assert not rows.notes


def test_quotes_inside_cells(write: Write) -> None:
    rows = read_rows(write("a.csv", 'text,n\nTV 55" wide,1\n"said ""no"", twice",2\n"""quoted""",3\n'))
    assert [row["text"] for row in rows] == ['TV 55" wide', 'said "no", twice', '"quoted"']


# Lines and delimiters


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end(write: Write, end: str) -> None:
    rows = read_rows(write("a.csv", end.join(["id,text", "1,good", "", '2,"two' + end + 'lines"', ""])))
    assert [dict(row) for row in rows] == [{"id": "1", "text": "good"}, {"id": "2", "text": f"two{end}lines"}]


def test_a_lone_carriage_return_inside_a_cell_stays(write: Write) -> None:
    assert read_rows(write("a.csv", "id,text\n1,good\rbad\n2,x\n"))[0]["text"] == "good\rbad"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_delimiters_by_content(write: Write, delimiter: str, name: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(csv.reader(io.StringIO(SUPPORT)))
    path = write(name, text.getvalue())
    assert SupportSet.from_file(path).by_label() == SupportSet.from_file(write("plain.csv", SUPPORT)).by_label()
    assert codes(path) == ([] if delimiter == {"csv": ",", "tsv": "\t"}[name[2:]] else ["delimiter"])


@pytest.mark.parametrize("header", ["sep=;", "SEP=;", '"sep=;"'])
def test_excels_first_line(write: Write, header: str) -> None:
    assert [dict(row) for row in read_rows(write("a.csv", f"{header}\r\ntext;n\r\na,b;1\r\n"))] == [
        {"text": "a,b", "n": "1"}
    ]


def test_the_delimiter_may_be_told(write: Write) -> None:
    path = write("a.csv", "text:n\na:1\n")
    assert read_rows(path, delimiter=":")[0] == {"text": "a", "n": "1"}
    assert SupportSet.from_file(
        write("s.csv", SUPPORT.replace(",p", ":p").replace(",n", ":n").replace("text,", "text:")), delimiter=":"
    ).labels == ("negative", "positive")
    with pytest.raises(DataFileError, match="no delimiter"):
        read_rows(path, delimiter="::")


def test_one_column_needs_no_delimiter(write: Write) -> None:
    assert [row["text"] for row in read_rows(write("a.csv", "text\nGood; cheap\nBad; late\n"))] == [
        "Good; cheap",
        "Bad; late",
    ]


# Headers


def test_trailing_columns_without_names(write: Write) -> None:
    path = write("a.csv", SUPPORT.replace("\n", ",,\n"))
    assert list(read_rows(path)[0]) == ["text", "label"]
    with pytest.raises(DataFileError, match="line 2: Column 3 has a value but no name"):
        read_rows(write("b.csv", "text,label,\ngood,p,why\n"))


def test_title_row(write: Write) -> None:
    for content in ("Reviews 2024\n" + SUPPORT, "Reviews 2024,\n" + SUPPORT, "Reviews;\ntext;label\na;b\n"):
        with pytest.raises(DataFileError, match="title, remove what stands above"):
            read_rows(write("a.csv", content))


def test_spaces_in_the_header_and_after_delimiters(write: Write) -> None:
    assert read_rows(write("a.csv", "id, text\n1,Fast shipping\n"))[0] == {"id": "1", "text": "Fast shipping"}
    assert read_rows(write("b.csv", 'id, text\n1, "Fast, good"\n'))[0] == {"id": "1", "text": "Fast, good"}


@pytest.mark.parametrize("content", ["", "\n\n", "text,label\n", "\ufefftext,label\r\n"])
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_files_without_rows(write: Write, content: str, ending: str) -> None:
    path = write(f"a.{ending}", content)
    assert read_rows(path) == []
    with pytest.raises(SupportError, match="no rows"):
        SupportSet.from_file(path)


def test_repeated_headers_are_kept_apart(write: Write) -> None:
    path = write("a.csv", "id,text,text,text_2\n1,a,b,c\n")
    assert read_rows(path)[0] == {"id": "1", "text": "a", "text_3": "b", "text_2": "c"}
    assert codes(path) == ["repeated-column"]
    with pytest.raises(SupportError, match="more than one column named 'text'"):
        resolve_columns(read_rows(path)[0], labelled=False)
    table = pa.table([pa.array(["a"]), pa.array(["b"])], names=["n", "n"])
    pq.write_table(table, path.with_suffix(".parquet"))
    assert read_rows(path.with_suffix(".parquet"))[0] == {"n": "a", "n_2": "b"}


# Encodings

TEXTS = {
    "gb18030": ["物流很快，质量不错", "太差了，再也不买"],
    "big5": ["物流很快，品質不錯", "太差了，再也不買"],
    "shift_jis": ["配送が早くて品質も良い", "すぐに壊れた、二度と買わない"],
    "cp1251": ["Отличный товар, быстрая доставка", "Сломался через день"],
    "cp1253": ["Πολύ καλή ποιότητα", "Ήρθε σπασμένο"],
    "euc_kr": ["배송이 빠르고 품질이 좋아요", "고장난 채로 왔어요"],
}


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_encoding_that_alone_fits_is_read_and_said(write: Write, encoding: str, form: str) -> None:
    rows = [{"text": text, "n": "1"} for text in TEXTS[encoding]]
    table = "text,n\n" + "".join(f'"{row["text"]}",1\n' for row in rows)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path = write(f"a.{form}", (table if form == "csv" else lines).encode(encoding))
    assert [dict(row) for row in read_rows(path)] == rows
    assert codes(path) == ["encoding"]
    assert [dict(row) for row in read_rows(path, encoding=encoding)] == rows


def test_encodings_that_cannot_be_told_apart_are_named(write: Write) -> None:
    path = write("a.csv", "text,n\nTrès bon,1\ncafé,2\n".encode("cp1252"))
    with pytest.raises(DataFileError, match=r"may be cp1252, cp1250.*cp1252 reads 'Très bon,1'.*--encoding cp1252"):
        read_rows(path)
    assert [row["text"] for row in read_rows(path, encoding="cp1252")] == ["Très bon", "café"]
    with pytest.raises(DataFileError, match="no encoding 'cp9999'"):
        read_rows(path, encoding="cp9999")


@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["Fast shipping", "物流很快", "it\u2019s café", "一般般，一次就坏，第一次也是最后一次"]
)
def test_unicode_with_and_without_mark(write: Write, encoding: str, mark: bool, text: str) -> None:
    marks = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    content = (marks[encoding] if mark else b"") + f'"id"\ttext\r\n1\t{text}\r\n2\tArrived broken\r\n'.encode(encoding)
    assert [row["text"] for row in read_rows(write("a.csv", content))] == [text, "Arrived broken"]


def test_a_json_array_in_one_line_of_another_encoding(write: Write) -> None:
    rows = [{"text": text} for text in ("很好很好很好", "质量太差了，再也不买", "物流快，包装也好")]
    content = json.dumps(rows, ensure_ascii=False)
    assert [dict(row) for row in read_rows(write("a.json", content.encode("gb18030")))] == rows
    mixed = b", ".join(
        json.dumps(row, ensure_ascii=False).encode("gbk" if at == 1 else "utf-8") for at, row in enumerate(rows)
    )
    assert kinds(write("b.json", b"[" + mixed + b"]")) == {1: "invalid-utf8"}


def test_one_row_in_another_encoding_keeps_its_place(write: Write) -> None:
    path = write("a.csv", GBK_ROW)
    rows = load_rows(path)
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert rows.problems[1].kind == "invalid-utf8"
    assert "gb18030" in rows.problems[1].reason
    assert rows.lines == {1: 3}
    assert rows[1]["text"].encode("utf-8", "surrogateescape") == "质量太差了，再也不买".encode("gbk")
    with pytest.raises(DataFileError, match=r"line 3: .*not UTF-8"):
        read_rows(path)


# Other formats


def test_json_arrays_and_lines(write: Write) -> None:
    rows = [{"text": "很好", "n": 1}, {"text": "a\nb", "n": [1, {"x": None}]}]
    for content in (json.dumps(rows), json.dumps(rows, indent=2, ensure_ascii=False), "\n".join(map(json.dumps, rows))):
        assert [dict(row) for row in read_rows(write("a.json", content))] == rows
    with pytest.raises(DataFileError, match="expected an array of objects"):
        read_rows(write("a.json", json.dumps({"rows": rows}, indent=1)))
    for array in (json.dumps(rows), json.dumps(rows, indent=1), json.dumps(rows).replace("}, {", "},\n{")):
        path = write("a.jsonl", array)
        assert [dict(row) for row in read_rows(path)] == rows
        assert count_rows(path) == 2
    assert [dict(row) for row in read_rows(write("c.json", json.dumps(rows) + "\n" + json.dumps(rows)))] == rows * 2
    assert kinds(write("c.json", json.dumps(rows) + ', {"text": "lost"}')) == {2: "broken-json"}
    assert kinds(write("c.jsonl", '[{"text": "a"}]\n{"text": "b"}\n')) == {0: "not-an-object"}
    broken = write("b.json", '[{"text": "a"},\n {"text": 1, "text": 2},\n 7,\n {"text": "b"},\n {"te')
    assert kinds(broken) == {1: "repeated-key", 2: "not-an-object", 4: "broken-json"}
    assert load_rows(broken).lines == {1: 2, 2: 3, 4: 5}


def test_a_long_json_array_is_read_in_pieces(write: Write) -> None:
    rows = [{"text": "x" * 3_000, "n": number} for number in range(300)] + [{"text": "y" * 300_000, "n": -1.5}]
    assert [dict(row) for row in read_rows(write("a.json", json.dumps(rows)))] == rows


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json"])
def test_compressed_text(write: Write, ending: str) -> None:
    rows = [{"text": "a"}, {"text": "b"}]
    content = {"json": json.dumps(rows), "jsonl": '{"text": "a"}\n{"text": "b"}\n'}.get(ending, "text\na\nb\n").encode()
    assert [dict(row) for row in read_rows(write(f"a.{ending}.gz", gzip.compress(content)))] == rows
    zst = pa.compress(content, "zstd", asbytes=True)
    assert [dict(row) for row in read_rows(write(f"a.{ending}.zst", zst))] == rows


def test_excel_cells_as_a_person_typed_them(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["id", "text", "phone", "day", "at", "share", "price", "code", "typed", "yes", None])
    sheet.append(["123456789012345678", "物流很快", 13800138000, date(2024, 5, 1), datetime(2024, 5, 1, 9, 30), 0.25])
    for column, value in {7: 19.9, 8: 42, 9: "007", 10: True}.items():
        sheet.cell(2, column, value)
    sheet["F2"].number_format, sheet["H2"].number_format = "0%", "00000"
    sheet.append([12345678901234, "0.1 + 0.2", 13800138000.0, None, None, 0.1 + 0.2])
    book.create_sheet("Notes").append(["x"])
    book.save(tmp_path / "a.xlsx")
    first, second = rows = read_rows(tmp_path / "a.xlsx")
    assert first == {
        "id": "123456789012345678",
        "text": "物流很快",
        "phone": 13800138000,
        "day": "2024-05-01",
        "at": "2024-05-01 09:30:00",
        "share": "25%",
        "price": 19.9,
        "code": "00042",
        "typed": "007",
        "yes": True,
    }
    assert (second["id"], second["phone"], second["share"]) == (12345678901234, 13800138000, 0.3)
    assert str(second["phone"]) == "13800138000"
    assert [note.code for note in rows.notes] == ["sheet"]
    (tmp_path / "b.xlsx").write_bytes(b"not a workbook")
    with pytest.raises(DataFileError, match="cannot be read as an Excel workbook"):
        read_rows(tmp_path / "b.xlsx")


def test_excel_durations_formulas_and_sheets_without_cells(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["id", "text", "took"], [1, "good", timedelta(hours=30, minutes=5)], [2, '=A2&"x"', timedelta(0)]):
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    rows = load_rows(tmp_path / "a.xlsx")
    assert rows[0]["took"] == "30:05:00"
    assert not rows[1]["text"]
    assert [note.code for note in rows.notes] == ["formulas"]
    book.create_chartsheet("empty chart")
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(DataFileError, match="cannot be read as an Excel workbook"):
        read_rows(tmp_path / "b.xlsx")


def test_parquet_of_any_types(tmp_path: Path) -> None:
    row = {
        "at": datetime(2024, 5, 1, 12),
        "day": date(2024, 5, 1),
        "price": Decimal("1.50"),
        "raw": b"\xff",
        "n": [{"a": 1}],
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    assert [dict(found) for found in read_rows(tmp_path / "a.parquet")] == [row]


def test_parquet_cells_that_python_has_no_value_for(tmp_path: Path) -> None:
    """A day after the year 9999 is a number; a text that is not UTF-8 keeps its bytes and the rest of its row."""
    offsets, letters = pa.py_buffer(b"\0\0\0\0\4\0\0\0\6\0\0\0"), pa.py_buffer(b"goo\xffab")
    texts = pa.Array.from_buffers(pa.string(), 2, [None, offsets, letters])
    days = pa.array([10**18, 0], pa.timestamp("us"))
    pq.write_table(pa.table({"id": ["x", "y"], "text": texts, "day": days}), tmp_path / "a.parquet")
    rows = load_rows(tmp_path / "a.parquet")
    assert [dict(row) for row in rows] == [
        {"id": "x", "text": "goo\udcff", "day": "1000000000000000000"},
        {"id": "y", "text": "ab", "day": datetime(1970, 1, 1)},
    ]
    assert {at: problem.kind for at, problem in rows.problems.items()} == {0: "invalid-utf8"}


def test_parquet_with_a_name_twice(tmp_path: Path) -> None:
    columns = [pa.array(["good", "late"]), pa.array(["a", "b"]), pa.array(["c", "d"])]
    pq.write_table(pa.Table.from_arrays(columns, ["text", "text", "label"]), tmp_path / "a.parquet")
    rows = read_rows(tmp_path / "a.parquet")
    assert list(rows[0]) == ["text", "text_2", "label"]
    assert [note.code for note in rows.notes] == ["repeated-column"]
    with pytest.raises(SupportError, match="more than one column named 'text'"):
        SupportSet.from_file(tmp_path / "a.parquet")


# Any table comes back

CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff\x00"), max_size=8)
NAMES = st.lists(st.text("abcdefgh评论", min_size=1, max_size=5), min_size=2, max_size=4, unique=True)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_table_of_csv_writer_comes_back(data: st.DataObject) -> None:
    names = data.draw(NAMES)
    rows = data.draw(st.lists(st.lists(CELL, min_size=len(names), max_size=len(names)), min_size=1, max_size=6))
    delimiter = data.draw(st.sampled_from(",;\t|"))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"]))
    quoting: Any = data.draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_MINIMAL]))
    end = data.draw(st.sampled_from(["\r\n", "\n"]))
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\r\n").writerows([names, *rows])
    content = text.getvalue() if end == "\r\n" else text.getvalue().replace("\r\n", "\n")
    expected = rows if end == "\r\n" else [[cell.replace("\r\n", "\n") for cell in row] for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes(content.encode(encoding))
        told = None if encoding.endswith("sig") else encoding
        found = read_rows(path, encoding=told, delimiter=delimiter)
        assert [list(row.values()) for row in found] == expected
        assert list(found[0]) == names
        assert [dict(row.values) for row in open_source(path, encoding=told, delimiter=delimiter).rows()] == found


# Columns


@pytest.mark.parametrize(
    ("task", "columns", "text", "label"),
    [
        ("review-sentiment", ["reviewerID", "reviewText", "summary", "overall", "label"], "reviewText", "label"),
        ("review-sentiment", ["review_id", "review_body", "star_rating", "sentiment"], "review_body", "sentiment"),
        ("review-sentiment", ["编号", "评论内容", "分类"], "评论内容", "分类"),
        ("review-sentiment", ["昵称", "商品评价", "标签"], "商品评价", "标签"),
        ("review-sentiment", ["Review Title", "Review Text", "Category"], "Review Text", "Category"),
        ("customer-intent", ["id", "subject", "description", "intent"], "description", "intent"),
        ("customer-intent", ["id", "subject", "intent"], "subject", "intent"),
        ("customer-intent", ["标题", "分类"], "标题", "分类"),
        ("review-rating", ["body", "rating"], "body", "rating"),
        ("review-rating", ["text", "stars"], "text", "stars"),
        ("review-rating", ["content", "score"], "content", "score"),
        ("price-from-title", ["title", "rating", "price"], None, "price"),
        ("review-aspects", ["text", "tags"], "text", "tags"),
        ("review-aspects", ["内容", "labels"], "内容", "labels"),
    ],
)
def test_columns_of_real_dumps(task: str, columns: list[str], text: str | None, label: str) -> None:
    described = load_task(task)
    where = resolve_columns(columns, described)
    assert where.names.get("text") == text
    assert where.names["label"] == label


def test_the_best_of_several_columns_is_taken_and_said(write: Write) -> None:
    table = SUPPORT.replace("text,label", "content,label").replace("\n", ",d\n").replace("label,d", "label,description")
    support = SupportSet.from_file(write("a.csv", table))
    assert support.report.columns == {"text": "content", "label": "label"}
    (finding,) = [found for found in support.report.findings if found.code == "several-columns"]
    assert "'description'" in finding.english
    assert "'description'" in finding.chinese


def test_notes_are_findings_of_a_support_set(write: Write) -> None:
    support = SupportSet.from_file(write("a.csv", SUPPORT.encode("utf-16")))
    assert len(support) == 6
    assert "encoding" in [finding.code for finding in support.report.findings]


def test_what_is_no_table_is_one_readable_error(write: Write) -> None:
    for name, content in (("a.xls", b""), ("a.json", b"7"), ("a.csv", b'"text,n\n1,2\n"a",b\n'), ("a.parquet", b"x")):
        with pytest.raises(FewshotError):
            read_rows(write(name, content))
