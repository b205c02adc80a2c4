"""Whole packages: what an honest writer and an honest reader do, and what they refuse."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from package_forge import AGREEMENT, EXPECT, Changes, forge, known_senders

from schemas import container
from schemas.container import (
    Expectation,
    OpenedPackage,
    ReplayGuard,
    inspect_header,
    open_package,
    read_manifest,
)
from schemas.errors import (
    Corrupted,
    DecompressionBomb,
    InputError,
    ManifestInvalid,
    OutputError,
    PackageError,
    Replayed,
    SignerNotParty,
    UnknownPart,
    WrongRecipient,
)
from schemas.header import HEADER_BYTES
from schemas.identity import PrivateIdentity
from schemas.manifest import Manifest

People = dict[str, PrivateIdentity]


NOTHING = Expectation()


def opened(path: Path, people: People, expect: Expectation = NOTHING) -> OpenedPackage:
    """Open as the unit."""
    return open_package(path, recipient=people["unit"], known_senders=known_senders(people), expect=expect)


def test_round_trip(written: Any, people: People) -> None:
    """The reader gets the manifest that was signed and the bytes that were written."""
    path, manifest = written(facts={"nested": {"list": [1, None, "x"]}, "float": 0.5})
    with opened(
        path, people, Expectation(kind="sealed", agreement_digest=AGREEMENT, sender="police")
    ) as package:
        assert package.manifest == manifest
        assert package.manifest.facts["nested"] == {"list": [1, None, "x"]}
        assert package.read_all("raw", limit=6) == b"abcdef"


def test_parts_of_any_shape(written: Any, people: People) -> None:
    """No part, an empty part, and parts across chunks come back as they were."""
    path, _ = written(parts=[])
    with opened(path, people) as package:
        assert package.manifest.parts == ()
    large = bytes(range(256)) * 3000
    contents = {"empty": b"", "large": large, "small": b"x", "also-empty": b""}
    path, _ = written(parts=[(name, "application/octet-stream", [data]) for name, data in contents.items()])
    with opened(path, people) as package:
        assert {name: package.part(name).read() for name in contents} == contents


def test_parquet_and_arrow(written: Any, people: People) -> None:
    """Pyarrow writes Parquet and Arrow streams straight into a part and reads them back from it."""
    table = pa.table({"x": list(range(50_000)), "y": [str(value) for value in range(50_000)]})

    def arrow(sink: BinaryIO) -> None:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=10_000)

    path, _ = written(
        parts=[
            ("parquet", "application/vnd.apache.parquet", lambda sink: pq.write_table(table, sink)),
            ("arrow", "application/vnd.apache.arrow.stream", arrow),
        ]
    )
    with opened(path, people) as package:
        assert pq.read_table(package.part("parquet")).equals(table)
        assert pa.ipc.open_stream(package.part("arrow")).read_all().equals(table)


def test_part_stream_is_a_file(written: Any, people: People) -> None:
    """A part can be read, sought and told as any binary file, and never shows the part beside it."""
    path, _ = written(parts=[("a", "text/plain", [b"0123456789"]), ("b", "text/plain", [b"secret"])])
    with opened(path, people) as package:
        stream = package.part("a")
        assert stream.readable()
        assert stream.seekable()
        assert not stream.writable()
        assert stream.read(4) == b"0123"
        assert stream.tell() == 4
        assert stream.seek(-3, io.SEEK_END) == 7
        assert stream.read(100) == b"789"
        assert stream.read(1) == b""
        assert stream.seek(50) == 50
        assert stream.read() == b""
        buffer = bytearray(20)
        stream.seek(0)
        assert stream.readinto(buffer) == 10  # type: ignore[attr-defined]
        assert list(io.BufferedReader(package.part("a"))) == [b"0123456789"]  # type: ignore[type-var]


def test_memory_stays_flat(written: Any, people: People) -> None:
    """Writing and reading 32 MiB takes less than 3 MiB of Python's memory."""
    block = bytes(64 * 1024)

    def blocks() -> Iterator[bytes]:
        for _ in range(512):
            yield block

    tracemalloc.start()
    try:
        path, _ = written(parts=[("big", "application/octet-stream", blocks())])
        with opened(path, people) as package:
            stream = package.part("big")
            while stream.read(1 << 16):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 32 * 2**20
    assert peak < 3 * 2**20


def test_nothing_decrypted_reaches_the_disk(
    written: Any, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading opens one file, for reading, and leaves the folder as it was."""
    path, _ = written()
    before = {item.name: item.stat().st_size for item in tmp_path.iterdir()}
    modes: list[str] = []
    real = Path.open

    def watch(self: Path, mode: str = "r", *more: Any, **rest: Any) -> Any:
        modes.append(mode)
        return real(self, mode, *more, **rest)

    monkeypatch.setattr(Path, "open", watch)
    with opened(path, people) as package:
        package.read_all("raw", limit=100)
    assert modes == ["rb"]
    assert {item.name: item.stat().st_size for item in tmp_path.iterdir()} == before


def test_thief_learns_no_content(written: Any, people: People) -> None:
    """No name, id, digest or content stands in the file in the clear; the header shows only the reader."""
    path, manifest = written()
    data = path.read_bytes()
    known = [b"police", b"unit", b"safeguarding", b"2026-06", b"abcdef", b"sealed", AGREEMENT[7:].encode()]
    assert not any(value in data for value in known)
    header = inspect_header(path)
    assert header.version == 1
    assert header.recipient_key_id == people["unit"].public.receiving_key_id
    assert manifest.header_digest == "sha256:" + header.digest.hex()


def test_failed_writer_leaves_nothing(written: Any, tmp_path: Path) -> None:
    """When a part's writer fails half way there is no package and no leftover."""

    def fail(sink: BinaryIO) -> None:
        sink.write(b"half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        written(parts=[("a", "text/plain", fail)])
    assert list(tmp_path.iterdir()) == []


def test_part_writer_cannot_write_later(written: Any) -> None:
    """The stream given to a part's writer is closed when the part ends."""
    kept: list[BinaryIO] = []
    written(parts=[("a", "text/plain", kept.append), ("b", "text/plain", [b"x"])])
    with pytest.raises(ValueError, match="complete"):
        kept[0].write(b"late")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "with space"},
        {"kind": ""},
        {"run_id": "a/b"},
        {"run_id": "x" * 129},
        {"purpose": "\n"},
        {"agreement_digest": "sha256:12"},
        {"counts": {"rows": -1}},
        {"counts": {"rows": True}},
        {"counts": {"rows": 2**53}},
        {"counts": {"a b": 1}},
        {"counts": {f"c{number}": 1 for number in range(1025)}},
        {"facts": {"nan": float("nan")}},
        {"facts": {"large": "x" * 2**21}},
        {"created_at": datetime(2026, 6, 30)},
        {"parts": [("a", "text/plain", [b"x"]), ("a", "text/plain", [b"y"])]},
        {"parts": [("../a", "text/plain", [b"x"])]},
        {"parts": [("a", "text", [b"x"])]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_writer_refuses_what_a_reader_would(written: Any, tmp_path: Path, change: dict[str, Any]) -> None:
    """A bad argument is refused and nothing is written."""
    with pytest.raises(ManifestInvalid):
        written(**change)
    assert list(tmp_path.iterdir()) == []


def test_time_is_kept_in_utc(written: Any) -> None:
    """A time in another zone is kept as the same moment in UTC, to the second."""
    summer = datetime(2026, 6, 30, 13, 0, 0, 999, tzinfo=timezone(timedelta(hours=1)))
    assert written(created_at=summer)[1].created_at == datetime(2026, 6, 30, 12, tzinfo=UTC)


def test_unwritable_place(written: Any, people: People, tmp_path: Path) -> None:
    """A folder that does not exist is an output error."""
    _, manifest = written()
    with pytest.raises(OutputError):
        container.write_package(
            tmp_path / "absent" / "x.tally",
            kind="sealed",
            sender=people["police"],
            recipient=people["unit"].public,
            agreement_digest=AGREEMENT,
            run_id="r",
            purpose="p",
            created_at=manifest.created_at,
            counts={},
            facts={},
            parts=[],
        )


def test_unreadable_file(tmp_path: Path) -> None:
    """A file that is not there is refused in a sentence."""
    with pytest.raises(PackageError):
        inspect_header(tmp_path / "absent.tally")


def test_unknown_part_and_limit(written: Any, people: People) -> None:
    """A part that is not there, or longer than the caller allows, is refused."""
    path, _ = written()
    with opened(path, people) as package:
        with pytest.raises(UnknownPart):
            package.part("other")
        with pytest.raises(DecompressionBomb):
            package.read_all("raw", limit=5)


def test_manifest_alone(written: Any, people: People) -> None:
    """The manifest can be read, verified, without reading the parts."""
    path, manifest = written()
    data = bytearray(path.read_bytes())
    found = read_manifest(path, recipient=people["unit"], known_senders=known_senders(people))
    assert found == manifest
    assert found.package_id == manifest.package_id
    data[HEADER_BYTES + 40] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(Corrupted):
        read_manifest(path, recipient=people["unit"], known_senders=known_senders(people))


def test_count_that_is_not_there(written: Any) -> None:
    """A count that the sender left out is refused, as its absence would otherwise be a crash of the reader."""
    _, manifest = written()
    assert manifest.count("rows") == 3
    with pytest.raises(ManifestInvalid):
        manifest.count("subjects")


def test_closed_package_is_closed(written: Any, people: People) -> None:
    """After the block a part can no longer be read."""
    path, _ = written()
    with opened(path, people) as package:
        stream = package.part("raw")
    with pytest.raises(ValueError, match="closed"):
        stream.read(1)


def test_content_changed_between_the_passes(written: Any, people: People) -> None:
    """Content that changes on disk after verification is refused when it is read."""
    large = bytes(300 * 1024)
    path, _ = written(parts=[("a", "text/plain", [large])])
    with opened(path, people) as package:
        with path.open("r+b") as stream:
            stream.seek(HEADER_BYTES + 1000)
            stream.write(b"changed")
        package.part("a").seek(0)
        with pytest.raises(Corrupted):
            package.part("a").read()


def test_parts_must_add_up(tmp_path: Path, people: People) -> None:
    """Signed lengths that leave bytes over, or reach into the signature, are refused."""
    for change in (1, -1):

        def lengthen(manifest: Any, change: int = change) -> Any:
            part = manifest["parts"][0]
            return {**manifest, "parts": [{**part, "length": part["length"] + change}]}

        path = tmp_path / "odd.tally"
        changes = Changes(manifest=lengthen)
        path.write_bytes(forge(sender=people["police"], recipient=people["unit"].public, changes=changes))
        with pytest.raises(Corrupted):
            opened(path, people)


def test_key_listed_by_two_parties(written: Any, people: People) -> None:
    """A party that lists another's signing key in the agreement cannot be taken for it, nor it for them."""
    path, _ = written()
    police = people["police"].public
    known = {"police": police, "fire": replace(police, party="fire")}
    with pytest.raises(SignerNotParty):
        open_package(path, recipient=people["unit"], known_senders=known, expect=Expectation())


def test_two_packages_of_the_same_content_differ(written: Any) -> None:
    """The package id tells apart two packages that say the same."""
    assert written()[1].package_id != written()[1].package_id


def test_recipient_under_another_name(written: Any, people: People) -> None:
    """The reader's party id is signed as well as the reader's key."""
    path, _ = written(recipient=replace(people["unit"].public, party="other-unit"))
    with pytest.raises(WrongRecipient):
        opened(path, people)


@pytest.fixture
def manifest(written: Any) -> Manifest:
    """A manifest."""
    return written()[1]  # type: ignore[no-any-return]


def test_replay_guard(manifest: Manifest, tmp_path: Path) -> None:
    """A package is admitted once, a second of the same sender and run never, and other runs freely."""
    guard = ReplayGuard()
    guard.admit(manifest)
    for again in (manifest, replace(manifest, header_digest="sha256:" + "1" * 64)):
        with pytest.raises(Replayed):
            guard.admit(again)
    guard.admit(replace(manifest, run_id="2026-07"))
    guard.admit(replace(manifest, sender="health"))
    assert list(tmp_path.glob("*.json")) == []


def test_replay_register_on_disk(manifest: Manifest, tmp_path: Path) -> None:
    """A register in a file remembers after a restart; one that was damaged is not taken for an empty one."""
    register = tmp_path / "register.json"
    ReplayGuard(register).admit(manifest)
    with pytest.raises(Replayed):
        ReplayGuard(register).admit(manifest)
    register.write_bytes(b"")
    with pytest.raises(InputError):
        ReplayGuard(register)


def test_expectation_of_nothing(manifest: Manifest) -> None:
    """An expectation without demands is met; each demand of the vectors is met by what it describes."""
    Expectation().check(manifest, where="x")
    replace(EXPECT, key_check=None, normaliser=None).check(manifest, where="x")
