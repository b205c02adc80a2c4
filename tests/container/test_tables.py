"""Tables in packages: exactly the agreed columns, no more rows than declared, nothing that unpacks."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from package_forge import EXPECT, ROWS, SCHEMA, TABLE_PART, forge, known_senders, table_bytes

from schemas.container import open_package
from schemas.errors import DecompressionBomb, PackageError, SchemaMismatch, UnknownPart
from schemas.identity import PrivateIdentity
from schemas.parts import PartSink
from schemas.stream import ChunkReader, ChunkWriter
from schemas.tables import ARROW_STREAM, arrow_stream, read_batches

Read = Callable[..., list[pa.RecordBatch]]


@pytest.fixture
def read(tmp_path: Path, people: dict[str, PrivateIdentity]) -> Read:
    """Put bytes into a package as its table and read them as one."""

    def read(
        table: bytes, *, name: str = TABLE_PART, schema: pa.Schema = SCHEMA, max_rows: int = ROWS
    ) -> Any:
        path = tmp_path / "table.tally"
        parts = [(TABLE_PART, ARROW_STREAM, table)]
        path.write_bytes(forge(sender=people["police"], recipient=people["unit"].public, parts=parts))
        with open_package(
            path, recipient=people["unit"], known_senders=known_senders(people), expect=EXPECT
        ) as package:
            return list(read_batches(package, name, schema=schema, max_rows=max_rows))

    return read


def test_reads_what_was_written(read: Read) -> None:
    """Batches come back as they were written, and their rows are counted together."""
    batches = [pa.RecordBatch.from_pylist([{"subject": n, "block": -n}], schema=SCHEMA) for n in range(ROWS)]
    sink = io.BytesIO()
    arrow_stream(SCHEMA, iter(batches))(sink)
    assert read(sink.getvalue()) == batches
    with pytest.raises(DecompressionBomb):
        read(sink.getvalue(), max_rows=ROWS - 1)


def test_no_rows(read: Read) -> None:
    """A table without rows is a table."""
    sink = io.BytesIO()
    arrow_stream(SCHEMA, iter([]))(sink)
    assert read(sink.getvalue(), max_rows=0) == []


def test_batches_in_memory_that_is_used_again() -> None:
    """A batch is wholly written before the next is asked for, whose maker may use the same memory."""
    rows, sink = 100_000, io.BytesIO()
    schema = pa.schema([pa.field("block", pa.int64())])
    memory = np.zeros(rows, dtype=np.int64)

    def batches() -> Iterator[pa.RecordBatch]:
        column = pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(memory)])
        for number in range(5):
            memory[:] = number
            yield pa.RecordBatch.from_arrays([column], schema=schema)
        memory[:] = 99

    writer = ChunkWriter(sink, bytes(32))
    with PartSink(writer) as part:
        arrow_stream(schema, batches())(part)  # type: ignore[arg-type]
    writer.finish()
    reader = ChunkReader(sink, start=0, where="test")
    reader.unlock(bytes(32))
    content = reader.read(0, reader.length)
    assert part.sha256 == "sha256:" + hashlib.sha256(content).hexdigest()
    table = pa.ipc.open_stream(content).read_all()
    assert (table["block"].to_numpy() == np.repeat(np.arange(5), rows)).all()


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA.append(pa.field("more", pa.int32())),
        pa.schema([SCHEMA.field(0)]),
        pa.schema([SCHEMA.field(1), SCHEMA.field(0)]),
        pa.schema([pa.field("subject", pa.int64(), nullable=False), SCHEMA.field(1)]),
        pa.schema([pa.field("subject", pa.int32()), SCHEMA.field(1)]),
        SCHEMA.with_metadata({"note": "x"}),
    ],
    ids=["extra column", "missing column", "order", "type", "nullability", "metadata"],
)
def test_other_schema(read: Read, schema: pa.Schema) -> None:
    """Another column, order, type, nullability, or metadata is refused."""
    with pytest.raises(SchemaMismatch):
        read(table_bytes(schema))


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed(read: Read, compression: str) -> None:
    """A compressed table is refused before it is unpacked, however few rows it declares."""
    with pytest.raises(DecompressionBomb):
        read(table_bytes(rows=ROWS, compression=compression))


def test_unknown_part(read: Read) -> None:
    """A table that is not there is refused."""
    with pytest.raises(UnknownPart):
        read(table_bytes(), name="other")


def test_bytes_after_the_table(read: Read) -> None:
    """Bytes hidden behind the end of the stream are refused."""
    with pytest.raises(SchemaMismatch):
        read(table_bytes() + b"hidden")


def test_dictionaries_are_refused(read: Read) -> None:
    """Even when a schema asks for a dictionary, only plain rows are read."""
    schema = pa.schema([pa.field("x", pa.dictionary(pa.int8(), pa.string()))])
    batch = pa.RecordBatch.from_arrays(
        [pa.array(["a"]).dictionary_encode().cast(schema.field(0).type)], schema=schema
    )
    sink = io.BytesIO()
    arrow_stream(schema, iter([batch]))(sink)
    with pytest.raises(SchemaMismatch):
        read(sink.getvalue(), schema=schema)


def test_forged_text_offsets(read: Read) -> None:
    """Offsets that point outside the data are found by full validation, not by a crash later."""
    schema = pa.schema([pa.field("text", pa.string())])
    good = table_of(schema, [pa.array(["ab", "cd"])])
    offsets = (0).to_bytes(4, "little") + (2).to_bytes(4, "little") + (4).to_bytes(4, "little")
    at = good.index(offsets)
    forged = good[:at] + offsets[:8] + (1 << 30).to_bytes(4, "little") + good[at + 12 :]
    assert read(good, schema=schema)[0].num_rows == 2
    with pytest.raises(SchemaMismatch):
        read(forged, schema=schema)


def table_of(schema: pa.Schema, columns: list[pa.Array]) -> bytes:
    """Return an Arrow stream of one batch."""
    sink = io.BytesIO()
    arrow_stream(schema, iter([pa.RecordBatch.from_arrays(columns, schema=schema)]))(sink)
    return sink.getvalue()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_tables(read: Read, data: st.DataObject) -> None:
    """A table with a few bytes changed is read with at most the declared rows, or refused; it never crashes."""
    table = bytearray(table_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        table[data.draw(st.integers(0, len(table) - 1))] = data.draw(st.integers(0, 255))
    try:
        batches = read(bytes(table))
    except PackageError:
        return
    assert sum(batch.num_rows for batch in batches) <= ROWS
    assert all(batch.schema.equals(SCHEMA) for batch in batches)
