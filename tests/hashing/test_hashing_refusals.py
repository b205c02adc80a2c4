"""What a refusal of the reading step says: where, and what to do; never what stands in a cell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashing.extract import read_extract
from hashing.mapping import AgencyMapping, load_mapping
from schemas.errors import ExtractError, MappingError

ROOT = Path(__file__).parents[2]
SOURCES = [
    *sorted((ROOT / "hashing" / "reading").glob("*.py")),
    *(
        ROOT / "hashing" / name
        for name in ("mapping.py", "guess.py", "extract.py", "rejects.py", "profile.py")
    ),
    *(ROOT / "schemas" / name for name in ("locks.py", "atomic.py")),
]
KINDS = {"ExtractError", "MappingError", "InputError", "OutputError"}
CANARY = "Quillcanary"


def _refusals(path: Path) -> Iterator[tuple[int, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
            yield node.lineno, node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_refusal_says_where_and_what_to_do(path: Path) -> None:
    """Each error that is made in these modules names a place and a remedy."""
    bare = [
        line
        for line, call in _refusals(path)
        if not {"where", "remedy"} <= {word.arg for word in call.keywords}
    ]
    assert bare == [], f"{path.name}: lines {bare}"


def test_there_are_refusals() -> None:
    """The test above looks at something."""
    assert sum(1 for path in SOURCES for _ in _refusals(path)) > 30


def test_a_column_of_no_text_is_named(tmp_path: Path) -> None:
    """A Parquet column of lists is refused under its own header, without a cell."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"Case Ref": ["1"], "Photo": [[CANARY]]}), path)
    mapping = AgencyMapping(columns={"ref": "case ref", "surname": "photo"})
    with pytest.raises(ExtractError, match="column 'Photo'") as caught:
        read_extract(path, agency="a", mapping=mapping)
    assert CANARY not in str(caught.value)


def test_an_open_quote_is_placed(tmp_path: Path) -> None:
    """Where a quotation mark swallows the rest of a file of many blocks, the last good row is named."""
    path = tmp_path / "x.csv"
    rows = [f"{number},Smith" for number in range(200_000)]
    rows[150_000] = f'150000,"{CANARY}'
    path.write_text("Title\n\nref,surname\n" + "\n".join(rows) + "\n")
    with pytest.raises(ExtractError, match="never closed") as caught:
        read_extract(path, agency="a")
    assert "row 1" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("agencies: [a]", "agencies", "a line of its own"),
        ("agencies: {a: {columns: {ref: [x]}}}", "agencies.a.columns.ref", "in quotes"),
        ("agencies: {a: {dates: {dob: 3}}}", "agencies.a.dates.dob", "%d/%m/%Y"),
        ("agencies: {a: {combine: {address: x}}}", "agencies.a.combine.address", "in brackets"),
        ("agencies: {a: {split: {x: surname_first, y: surname_first}}}", "agencies.a.split", "also: name"),
        ("agencies: {a: {delimiter: ab}}", "agencies.a.delimiter", "one character"),
        ("mapping_version: 2", "mapping_version", "newer release"),
    ],
)
def test_a_faulty_mapping_is_placed(tmp_path: Path, text: str, place: str, words: str) -> None:
    """The entry of mapping.yaml that is wrong is named, and what to write instead."""
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    with pytest.raises(MappingError) as caught:
        load_mapping(path)
    assert (caught.value.where or "").endswith(place)
    assert words in str(caught.value)
