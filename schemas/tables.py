"""Arrow tables in a package part: only the agreed columns, only as many rows as declared, nothing compressed.

A part is read message by message (Arrow columnar format, IPC streaming). A compressed buffer says how
large it will become and a reader has to believe it, so compressed messages are refused before they are
decoded; what is left can unpack to no more than the length of the part, which the sender signed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pyarrow as pa

from schemas.container import OpenedPackage
from schemas.errors import DecompressionBomb, SchemaMismatch

ARROW_STREAM = "application/vnd.apache.arrow.stream"
MAX_BATCHES = 2**20
_READ_ERRORS = (pa.ArrowException, OSError, ValueError, struct.error)
_SEAL_AGAIN = "Ask the sender to seal again with the release named in the agreement."


def arrow_stream(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Callable[[BinaryIO], None]:
    """Return a part writer for `write_package`: an uncompressed Arrow stream of `batches`."""

    def write(sink: BinaryIO) -> None:
        with pa.ipc.new_stream(sink, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)

    return write


def read_batches(
    package: OpenedPackage, name: str, *, schema: pa.Schema, max_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the record batches of a part, each fully validated.

    Args:
        package: An open package.
        name: The part.
        schema: The exact columns, types and nullability; no metadata is allowed.
        max_rows: The rows that the manifest declares for this part.

    Raises:
        UnknownPart: There is no such part.
        SchemaMismatch: The part is no Arrow stream, or its columns, types or values are not as in `schema`.
        DecompressionBomb: A message is compressed, or there are more rows than `max_rows`.
    """
    where = f"{package.where}: part {name}"
    source = package.part(name)
    try:
        messages = pa.ipc.MessageReader.open_stream(source)
        first = messages.read_next_message()
        # pyarrow 26 crashes the process when it is asked for the schema in a message of another type.
        found = pa.ipc.read_schema(first) if first.type == "schema" else None
    except (*_READ_ERRORS, StopIteration):
        raise _not_arrow(where) from None
    if found is None or not found.equals(schema, check_metadata=True):
        raise SchemaMismatch(
            "the columns or types are not those of this format version.", where=where, remedy=_SEAL_AGAIN
        )
    rows = 0
    for message in _batch_messages(messages, where):
        batch = _decode(message, schema, where)
        rows += batch.num_rows
        if rows > max_rows:
            raise DecompressionBomb(f"there are more than the {max_rows} rows declared.", where=where)
        yield batch
    if source.read(1):
        raise SchemaMismatch("bytes follow the end of the table.", where=where, remedy=_SEAL_AGAIN)


def _batch_messages(messages: pa.ipc.MessageReader, where: str) -> Iterator[pa.ipc.Message]:
    for _ in range(MAX_BATCHES):
        try:
            message = messages.read_next_message()
        except StopIteration:
            return
        except _READ_ERRORS:
            raise _not_arrow(where) from None
        if message.type != "record batch":
            raise SchemaMismatch("this table holds more than rows.", where=where, remedy=_SEAL_AGAIN)
        yield message
    raise DecompressionBomb(f"there are more than {MAX_BATCHES} batches.", where=where)


def _decode(message: pa.ipc.Message, schema: pa.Schema, where: str) -> pa.RecordBatch:
    try:
        compressed = _is_compressed(message.metadata.to_pybytes())
        if not compressed:
            batch = pa.ipc.read_record_batch(message, schema)
            batch.validate(full=True)
            return batch
    except _READ_ERRORS:
        raise _not_arrow(where) from None
    raise DecompressionBomb(
        "this table is compressed, so its true size is unknown.",
        where=where,
        remedy=_SEAL_AGAIN,
    )


def _is_compressed(metadata: bytes) -> bool:
    """Look up `Message.header.compression` (Message.fbs: field 2 of Message, field 3 of RecordBatch)."""
    (root,) = struct.unpack_from("<I", metadata, 0)
    header = _field(metadata, root, 2)
    if header is None:
        return False
    (step,) = struct.unpack_from("<I", metadata, header)
    return _field(metadata, header + step, 3) is not None


def _field(data: bytes, table: int, number: int) -> int | None:
    """Return where a field of a FlatBuffers table is stored, or None if it is absent."""
    (back,) = struct.unpack_from("<i", data, table)
    vtable = table - back
    (size,) = struct.unpack_from("<H", data, vtable)
    slot = 4 + 2 * number
    if slot + 2 > size:
        return None
    (offset,) = struct.unpack_from("<H", data, vtable + slot)
    return table + offset if offset else None


def _not_arrow(where: str) -> SchemaMismatch:
    return SchemaMismatch("this part is not a well-formed Arrow stream.", where=where, remedy=_SEAL_AGAIN)
