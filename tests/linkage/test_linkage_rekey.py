"""Re-keying at intake: what is equal stays equal, and nobody can make the run's tokens again."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st
from linkage_world import AGENCIES, NOW, World

from linkage import intake
from linkage.candidates import find_candidates
from linkage.database import connect
from linkage.intake import Sender, counted, take_in, token_table
from linkage.rekey import Rekeying
from linkage.run import link
from linkage.scoring import score_candidates
from schemas.payload import pass_part

SCHEMA = pa.schema(
    [
        pa.field("version", pa.int32(), nullable=False),
        pa.field("block", pa.int64(), nullable=False),
        pa.field("short", pa.uint16()),
        pa.field("long", pa.uint32()),
        pa.field("other", pa.uint32()),
        pa.field("last", pa.uint16()),
    ]
)
WORDS = st.sampled_from([0, 1, 2, 2**31, 2**32 - 1])
ROWS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, -1, 2**62, -(2**63)]),
        st.none() | st.sampled_from([0, 1, 2**16 - 1]),
        st.none() | WORDS,
        st.none() | WORDS,
        st.none() | st.integers(0, 2**16 - 1),
    ),
    min_size=1,
    max_size=25,
)
Row = tuple[int, int | None, int | None, int | None, int | None]


def _batch(rows: list[Row]) -> pa.RecordBatch:
    columns = [list(range(len(rows))), *(list(values) for values in zip(*rows, strict=True))]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


class _Slow:
    """Restates the function of `linkage.rekey` value by value, from its description."""

    def __init__(self, seed: int) -> None:
        source = random.Random(seed)
        self.encryptor = Cipher(algorithms.AES(source.randbytes(16)), modes.ECB()).encryptor()  # noqa: S305
        self.orders = []
        for _ in range(2):
            draws = source.randbytes(8 * 65_536)
            places = [int.from_bytes(draws[at : at + 8], "little") for at in range(0, len(draws), 8)]
            self.orders.append(sorted(range(65_536), key=places.__getitem__))

    def aes(self, block: int, token: int, index: int, number: int) -> bytes:
        made: bytes = self.encryptor.update(
            block.to_bytes(8, "little", signed=True)
            + token.to_bytes(4, "little")
            + index.to_bytes(2, "little")
            + number.to_bytes(2, "little")
        )
        return made

    def block(self, block: int, index: int) -> int:
        return int.from_bytes(self.aes(block, 0, index, 0)[:8], "little", signed=True)

    def long(self, block: int, token: int, index: int, number: int) -> int:
        return int.from_bytes(self.aes(block, token, index, number)[:4], "little")

    def short(self, block: int, token: int, index: int, number: int) -> int:
        words = self.aes(block, 0, index, 32_768 + number // 2)[6 * (number % 2) :]
        keys = [int.from_bytes(words[at : at + 2], "little") for at in (0, 2, 4)]
        return self.orders[1][self.orders[0][token ^ keys[0]] ^ keys[1]] ^ keys[2]

    def row(self, row: dict[str, Any], index: int, first: int) -> dict[str, Any]:
        made = {"version": row["version"] + first, "block": self.block(row["block"], index)}
        for number, (name, of) in enumerate(
            {"short": self.short, "long": self.long, "other": self.long, "last": self.short}.items(), start=1
        ):
            made[name] = None if row[name] is None else of(row["block"], row[name], index, number)
        return made


SLOW = cache(_Slow)


@given(ROWS, st.integers(0, 2), st.sampled_from([0, 1, 25, 65_535]), st.integers(0, 10))
@settings(max_examples=60, deadline=None)
def test_batches_are_rekeyed_value_by_value(rows: list[Row], seed: int, index: int, skip: int) -> None:
    """A batch, or a slice of one, comes out as the description of the function says; what is missing stays so."""
    batch = _batch(rows).slice(min(skip, len(rows) - 1))
    with Rekeying(random.Random(seed).randbytes) as rekeying:
        made = rekeying.tokens(batch, index=index, first_version=7)
    made.validate(full=True)
    assert made.schema == SCHEMA
    assert made.to_pylist() == [SLOW(seed).row(row, index, 7) for row in batch.to_pylist()]


def test_a_batch_of_many_chunks() -> None:
    """Rows beyond the first chunk are re-keyed with their own blocks."""
    rows: list[Row] = [(number // 3, number % 7, None, number, 65_535 - number) for number in range(40_000)]
    with Rekeying(random.Random(1).randbytes) as rekeying:
        made = rekeying.tokens(_batch(rows), index=2, first_version=0)
    for number in (0, 16_383, 16_384, 32_767, 32_768, 39_999):
        row = _batch(rows).slice(number, 1).to_pylist()[0]
        assert made.slice(number, 1).to_pylist() == [SLOW(1).row(row, 2, 0)]


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_equal_means_equal_token_in_an_equal_block(rows: list[Row]) -> None:
    """Two values of one block are equal after re-keying exactly when they were (32 bits: but for chance)."""
    with Rekeying() as rekeying:
        made = rekeying.tokens(_batch(rows), index=3, first_version=0).to_pylist()
    for left in range(len(rows)):
        for right in range(left):
            same_block = rows[left][0] == rows[right][0]
            assert same_block == (made[left]["block"] == made[right]["block"])
            for place, name in enumerate(SCHEMA.names[2:], start=1):
                values = rows[left][place], rows[right][place]
                if same_block and None not in values:
                    assert (values[0] == values[1]) == (made[left][name] == made[right][name])


def test_the_same_token_differs_between_blocks_passes_and_columns() -> None:
    """One token is another value in each block, pass and column, so that nothing lines them up."""
    rows: list[Row] = [(block, 5, 5, 5, 5) for block in range(500)]
    with Rekeying() as rekeying:
        made = [rekeying.tokens(_batch(rows), index=index, first_version=0) for index in (0, 1)]
    long = [value for each in made for name in ("long", "other") for value in each[name].to_pylist()]
    assert len(set(long)) == len(long) == 2000
    short = [value for each in made for name in ("short", "last") for value in each[name].to_pylist()]
    # 2,000 draws from 65,536 give about 1,970 different ones.
    assert len(set(short)) > 1900
    assert not set(made[0]["block"].to_pylist()) & set(made[1]["block"].to_pylist())


def test_columns_that_are_compared_with_each_other_are_rekeyed_alike() -> None:
    """The token of a second forename is still that of the same name as a first one, and of no other column."""
    names = ["forename_exact", "surname_exact", "forename_second"]
    schema = pa.schema([*list(SCHEMA)[:2], *(pa.field(name, pa.uint16()) for name in names)])
    same = pa.array(range(200), pa.uint16())
    numbers = [pa.array(range(200), pa.int32()), pa.array([9] * 200, pa.int64())]
    with Rekeying() as rekeying:
        made = rekeying.tokens(
            pa.RecordBatch.from_arrays([*numbers, same, same, same], schema=schema), index=0, first_version=0
        )
    assert made["forename_second"].equals(made["forename_exact"])
    assert not made["surname_exact"].equals(made["forename_exact"])


def test_short_tokens_of_a_block_stay_different() -> None:
    """All 65,536 tokens of one block come out as all 65,536, in another order for another block, and in no order."""
    table = pa.RecordBatch.from_pydict(
        {
            "version": pa.array(np.arange(2 * 65_536, dtype=np.int32)),
            "block": pa.array(np.repeat([9, 10], 65_536)),
            "short": pa.array(np.tile(np.arange(65_536).astype(np.uint16), 2)),
        }
    )
    with Rekeying() as rekeying:
        made = rekeying.tokens(table, index=0, first_version=0)["short"].to_numpy()
    first, second = made[:65_536].astype(np.int64), made[65_536:].astype(np.int64)
    assert sorted(first) == sorted(second) == list(range(65_536))
    # A random order has about one value in its old place and, in bits, no lean towards one: 65,536 tosses of a coin.
    assert int((first == np.arange(65_536)).sum()) < 10
    assert int((first == second).sum()) < 10
    for differences in (first ^ np.arange(65_536), first ^ second, first[1:] ^ first[:-1]):
        for bit in range(16):
            assert abs(int((differences >> bit & 1).sum()) - 32_768) < 6 * 128


def test_a_forgotten_function_is_gone() -> None:
    """Behind its block the function cannot be used, and it is never printed or pickled."""
    with Rekeying(lambda size: (b"key" * size)[:size]) as rekeying:
        assert "keykey" not in repr(rekeying)
        with pytest.raises(TypeError):
            pickle.dumps(rekeying)
    with pytest.raises(ValueError, match="forgotten"):
        rekeying.tokens(_batch([(1, 2, 3, 4, 5)]), index=0, first_version=0)


# --- a run, and what a thief of it can do ----------------------------------------------------------------


class _AsSealed:
    """The control: intake as it would be without re-keying."""

    def __init__(self, _random_bytes: object) -> None:
        pass

    def __enter__(self) -> _AsSealed:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tokens(self, batch: pa.RecordBatch, *, index: int, first_version: int) -> pa.RecordBatch:  # noqa: ARG002
        version = pa.array(batch.column("version").to_numpy() + np.int32(first_version))
        return pa.RecordBatch.from_arrays([version, *batch.columns[1:]], schema=batch.schema)


@pytest.fixture
def as_sealed(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Switches re-keying off until it is undone."""
    monkeypatch.setattr(intake, "Rekeying", _AsSealed)
    return monkeypatch


def _taken_in(world: World, con: duckdb.DuckDBPyConnection, **more: Any) -> list[Sender]:
    return take_in(
        con, world.packages, agreement=world.agreement, unit=world.unit, known=world.public, **more
    )


def _steal(con: duckdb.DuckDBPyConnection, folder: Path) -> Path:
    """Copy the whole database of the run to disk, as a thief of the running machine would."""
    folder.mkdir()
    for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        con.execute(f"COPY {name} TO '{folder / name}.parquet'")
    return folder


@pytest.fixture(scope="module")
def sealed_again(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[pa.Table]:
    """The same people sealed afresh with the linkage secret, for the same agreement and run: what the thief makes."""
    folder = tmp_path_factory.mktemp("again")
    for agency in AGENCIES:
        world.seal(agency, folder / f"{agency}.tally")
    again = replace(world, folder=folder)
    return [
        pa.concat_tables([again.table(agency, pass_part(index)) for agency in AGENCIES])
        for index in range(len(world.agreement.passes))
    ]


def _joined(stolen: Path, fresh: list[pa.Table], names: Callable[[pa.Table], list[str]]) -> float:
    """Return the share of the rows of the fresh sealing that agree with a stolen row of their pass in `names`."""
    found = total = 0
    with duckdb.connect() as con:
        for index, table in enumerate(fresh):
            con.register("fresh", table)
            same = " AND ".join(f"f.{name} IS NOT DISTINCT FROM s.{name}" for name in names(table))
            found += con.execute(
                f"SELECT count(*) FROM fresh AS f "
                f"SEMI JOIN '{stolen}/{token_table(index)}.parquet' AS s ON {same}"
            ).fetchall()[0][0]
            total += table.num_rows
    return found / total


def _block(_table: pa.Table) -> list[str]:
    return ["block"]


def _tokens(table: pa.Table) -> list[str]:
    """Return the tokens that are the same in each sealing: those of rarity classes are noise for common names."""
    return [name for name in table.column_names[2:] if not name.endswith(("_rare", "_mid"))]


def test_a_stolen_run_does_not_join_with_the_linkage_secret(
    world: World, sealed_again: list[pa.Table], tmp_path: Path
) -> None:
    """The database of a run and the linkage secret together: no block id and no row of tokens is found again."""
    with connect(threads=1) as con:
        _taken_in(world, con)
        stolen = _steal(con, tmp_path / "stolen")
    assert _joined(stolen, sealed_again, _block) == 0
    assert _joined(stolen, sealed_again, _tokens) == 0


@pytest.mark.usefixtures("as_sealed")
def test_without_rekeying_a_stolen_run_would_join(
    world: World, sealed_again: list[pa.Table], tmp_path: Path
) -> None:
    """The control: without re-keying the same thief finds every row, by its block id and by its tokens alone."""
    with connect(threads=1) as con:
        _taken_in(world, con)
        stolen = _steal(con, tmp_path / "stolen")
    assert _joined(stolen, sealed_again, _block) == 1
    assert _joined(stolen, sealed_again, _tokens) == 1


def _spilt_blocks(world: World, sealed_again: list[pa.Table], folder: Path) -> int:
    """Take packages in, make the database spill to disk, and count the block ids of the agencies found there."""
    folder.mkdir()
    with connect(spill=folder, threads=1, memory="200MB") as con:
        _taken_in(world, con)
        # It frees what it can before it says that it is not enough.
        with suppress(duckdb.OutOfMemoryException):
            con.execute("SET memory_limit = '1MB'")
        spilt = b"".join(path.read_bytes() for path in folder.iterdir())
    assert len(spilt) > 100_000
    return sum(
        value.to_bytes(8, "little", signed=True) in spilt
        for value in sealed_again[0].column("block").to_pylist()
    )


def test_spill_files_hold_no_token(world: World, sealed_again: list[pa.Table], tmp_path: Path) -> None:
    """What the database writes to disk when memory is short has none of the agencies' block ids."""
    assert _spilt_blocks(world, sealed_again, tmp_path / "spill") == 0


@pytest.mark.usefixtures("as_sealed")
def test_without_rekeying_spill_files_would(
    world: World, sealed_again: list[pa.Table], tmp_path: Path
) -> None:
    """The control: without re-keying they stand there to be read."""
    assert _spilt_blocks(world, sealed_again, tmp_path / "spill") > 100


def test_run_files_hold_no_token(world: World, sealed_again: list[pa.Table], tmp_path: Path) -> None:
    """No table that a run leaves on disk has a column in common with the tokens, by name or by value."""
    link(
        world.packages,
        tmp_path / "run",
        agreement=world.agreement,
        unit=world.unit,
        known=world.public,
        created_at=NOW,
    )
    blocks = {value for table in sealed_again for value in table.column("block").to_pylist()}
    tables = [pq.read_table(path) for path in (tmp_path / "run").rglob("*.parquet")]
    assert tables
    for table in tables:
        assert not {"block", *(name for made in sealed_again for name in made.column_names[2:])} & set(
            table.column_names
        )
        for values in table.columns:
            if pa.types.is_integer(values.type):
                assert not blocks & set(values.to_pylist())
    for path in (tmp_path / "run").glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert not any(str(block) in text for block in blocks)


def _results(world: World, seed: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Return what a run finds: passes, candidate pairs, scored links."""
    passes = world.agreement.passes
    with connect(threads=1) as con:
        senders = _taken_in(world, con, random_bytes=random.Random(seed).randbytes)
        found = find_candidates(con, passes)
        pairs = con.execute("SELECT * FROM candidates ORDER BY ALL").fetchall()
        score_candidates(con, passes, counted(senders), subjects=sum(sender.subjects for sender in senders))
        links = con.execute("SELECT * FROM links ORDER BY ALL").fetchall()
    return found, pairs, links


def test_results_are_those_of_the_tokens_as_sealed(world: World, as_sealed: pytest.MonkeyPatch) -> None:
    """Under any key a run finds the same pairs and scores them alike, to the last digit."""
    before = _results(world, 0)
    assert len(before[2]) > 100
    as_sealed.undo()
    for seed in range(3):
        assert _results(world, seed) == before
