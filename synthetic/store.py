"""Parts of tables on disk, and their merging into one file each without holding more than one part in memory."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Literal

import pyarrow as pa
from pyarrow import csv, ipc, parquet

FileFormat = Literal["csv", "parquet"]


def _part(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}.{number:06d}"


def write_part(table: pa.Table, folder: Path, name: str, number: int, file_format: FileFormat) -> None:
    """Write part `number` of the file `name`; only the first CSV part has a header."""
    path = _part(folder, name, number)
    if file_format == "csv":
        options = csv.WriteOptions(include_header=number == 0, quoting_style="needed", batch_size=16_384)
        csv.write_csv(table, path, options)
        return
    with ipc.new_file(path, table.schema) as sink:
        sink.write_table(table)


class Merger:
    """Appends parts, in order, to their files. Use as a context manager.

    Args:
        parts: Folder of the parts; each is removed once taken.
        targets: For each name, the path of the file without its suffix, and its format.
    """

    def __init__(self, parts: Path, targets: Mapping[str, tuple[Path, FileFormat]]) -> None:
        self._parts = parts
        self._targets = targets
        self._streams: dict[str, IO[bytes]] = {}
        self._writers: dict[str, parquet.ParquetWriter] = {}

    def __enter__(self) -> Merger:
        return self

    def take(self, number: int) -> None:
        """Append part `number` of every file."""
        for name, (target, file_format) in self._targets.items():
            path = _part(self._parts, name, number)
            if file_format == "csv":
                self._append_csv(name, target.with_name(f"{target.name}.csv"), path)
            else:
                self._append_parquet(name, target.with_name(f"{target.name}.parquet"), path)
            path.unlink()

    def _append_csv(self, name: str, target: Path, path: Path) -> None:
        if name not in self._streams:
            self._streams[name] = target.open("wb")
        with path.open("rb") as part:
            shutil.copyfileobj(part, self._streams[name], 1 << 20)

    def _append_parquet(self, name: str, target: Path, path: Path) -> None:
        with pa.memory_map(str(path)) as source:
            table = ipc.open_file(source).read_all()
            if name not in self._writers:
                self._writers[name] = parquet.ParquetWriter(target, table.schema, compression="zstd")
            self._writers[name].write_table(table)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._streams.values():
            stream.close()
        for writer in self._writers.values():
            writer.close()
