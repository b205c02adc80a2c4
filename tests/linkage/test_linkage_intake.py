"""Intake: whatever is wrong with a package, it is refused by name and nothing is written."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from linkage_oracle import token_rows
from linkage_world import AGENCIES, NOW, UNIT, World

from governance.agreement import parse_agreement
from linkage.database import connect
from linkage.intake import take_in, token_table
from linkage.rekey import Rekeying
from linkage.run import link
from schemas.errors import (
    LinkageError,
    ManifestInvalid,
    PackageError,
    Replayed,
    SchemaMismatch,
    SignerNotParty,
    TallystickError,
    UnknownPart,
    UnknownSigner,
    WrongAgreement,
    WrongKind,
    WrongLinkageSecret,
    WrongNormaliser,
    WrongPurpose,
    WrongRecipient,
    WrongRun,
)
from schemas.identity import PrivateIdentity
from schemas.manifest import Manifest
from schemas.payload import pass_part
from schemas.policies import ReplayGuard


class _Refusal:
    """Link a good package and a bad one, which must be refused."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.bad = folder / "bad.tally"
        self.out = folder / "result" / "run"
        self.out.parent.mkdir()

    def __call__(self, expected: type[TallystickError], **changes: Any) -> TallystickError:
        world = self.world
        values: dict[str, Any] = {
            "agreement": world.agreement,
            "unit": world.unit,
            "known": world.public,
            "created_at": NOW,
        }
        paths = changes.pop("paths", [world.packages[0], self.bad])
        with pytest.raises(TallystickError) as caught:
            link(paths, self.out, **{**values, **changes})
        assert type(caught.value) is expected
        assert list(self.out.parent.iterdir()) == []
        return caught.value


@pytest.fixture
def refused(world: World, tmp_path: Path) -> _Refusal:
    """Expects `link` to refuse the package `bad`, the third agency's."""
    return _Refusal(world, tmp_path)


BAD = AGENCIES[2]


def test_genuine_packages_are_taken_in(world: World, unit: Any) -> None:
    """Every agency's subjects and versions follow each other, and rows stand where it put them."""
    assert [sender.agency for sender in unit.senders] == list(AGENCIES)
    subject = version = 0
    for sender in unit.senders:
        assert (sender.first_subject, sender.first_version) == (subject, version)
        sealed = world.subjects[sender.agency]
        assert (sender.subjects, sender.versions) == (sealed.count, len(sealed.version_subject))
        loaded = unit.con.execute(
            f"SELECT subject FROM versions WHERE version BETWEEN {version} AND {version + sender.versions - 1} "
            "ORDER BY version"
        ).fetchnumpy()["subject"]
        np.testing.assert_array_equal(loaded - subject, sealed.version_subject)
        numbers = unit.con.execute(
            f"SELECT subject - {subject}, number FROM subjects WHERE agency = '{sender.agency}'"
        ).fetchall()
        assert sorted(numbers) == [(n, n) for n in range(sealed.count)]
        subject, version = subject + sender.subjects, version + sender.versions


def test_tokens_are_loaded_rekeyed(world: World) -> None:
    """Token rows arrive shifted to the numbers of the run and re-keyed, those of each agency under the same key."""
    with connect(threads=2) as con:
        senders = take_in(
            con,
            world.packages,
            agreement=world.agreement,
            unit=world.unit,
            known=world.public,
            random_bytes=random.Random(4).randbytes,
        )
        for index in range(len(world.agreement.passes)):
            expected = []
            with Rekeying(random.Random(4).randbytes) as rekeying:
                for sender in senders:
                    for batch in world.table(sender.agency, pass_part(index)).to_batches():
                        made = rekeying.tokens(batch, index=index, first_version=sender.first_version)
                        expected += made.to_pylist()
            loaded = token_rows(con, token_table(index))
            assert sorted(loaded, key=lambda row: row["version"]) == sorted(
                expected, key=lambda row: row["version"]
            )


class _Noting:
    """A watch that notes the rows of each part."""

    def __init__(self, agency: str) -> None:
        self.agency = agency
        self.rows: dict[str, int] = {}

    def batches(self, name: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        self.rows[name] = 0
        for batch in batches:
            self.rows[name] += batch.num_rows
            yield batch


def test_every_part_is_watched_as_it_is_loaded(world: World) -> None:
    """A watch of each package sees all rows of all its parts, and nothing of another's."""
    watches: list[_Noting] = []

    def watch(manifest: Manifest, where: str) -> _Noting:
        assert where.endswith(f"{manifest.sender}.tally")
        watches.append(_Noting(manifest.sender))
        return watches[-1]

    with connect(threads=2) as con:
        take_in(
            con, world.packages, agreement=world.agreement, unit=world.unit, known=world.public, watch=watch
        )
    assert [each.agency for each in watches] == list(AGENCIES)
    for each in watches:
        with world.opened(each.agency) as package:
            names = [part.name for part in package.manifest.parts]
        assert each.rows == {name: world.table(each.agency, name).num_rows for name in names}


def test_no_package(refused: _Refusal) -> None:
    """A run needs a package."""
    refused(LinkageError, paths=[])


def test_wrong_agreement(world: World, refused: _Refusal) -> None:
    """A package under another version of the agreement is refused."""
    other = parse_agreement({**world.agreement.document, "version": "0.2.0"})
    world.seal(BAD, refused.bad, agreement=other)
    refused(WrongAgreement)


def test_wrong_run(world: World, refused: _Refusal) -> None:
    """A package of another run is refused, whether the run was named or is that of the first package."""
    world.seal(BAD, refused.bad, run_id="run-2026-06")
    refused(WrongRun)
    refused(WrongRun, run_id="run-2026-06", paths=[world.packages[0], refused.bad])


def test_wrong_secret(world: World, refused: _Refusal) -> None:
    """A package sealed with another linkage secret is found before anything is linked."""
    world.seal(BAD, refused.bad, secret=secrets.token_bytes(32))
    error = refused(WrongLinkageSecret)
    assert AGENCIES[0] in error.message


def test_wrong_normaliser(world: World, refused: _Refusal) -> None:
    """A package of another release's normaliser is refused."""
    world.forge(BAD, refused.bad, facts={"normaliser": "00" * 32})
    refused(WrongNormaliser)


@pytest.mark.parametrize("fact", ["normaliser", "key_check"])
def test_missing_check_values(world: World, refused: _Refusal, fact: str) -> None:
    """A sender cannot escape the comparison by leaving its check value out."""
    world.forge(BAD, refused.bad, facts={fact: None})
    refused(WrongNormaliser if fact == "normaliser" else WrongLinkageSecret)


def test_wrong_scheme(world: World, refused: _Refusal) -> None:
    """A package of another sealing scheme is refused, the first one too."""
    world.forge(BAD, refused.bad, facts={"scheme": "block-sealed-v2"})
    refused(SchemaMismatch)
    refused(SchemaMismatch, paths=[refused.bad])


def test_wrong_purpose(world: World, refused: _Refusal) -> None:
    """A package for another purpose is refused."""
    world.forge(BAD, refused.bad, purpose="research")
    refused(WrongPurpose)


def test_wrong_kind(world: World, refused: _Refusal) -> None:
    """A return cannot be taken in as a package."""
    world.forge(BAD, refused.bad, kind="return")
    refused(WrongKind)


def test_wrong_recipient(world: World, refused: _Refusal) -> None:
    """A package encrypted to somebody else is refused."""
    world.forge(BAD, refused.bad, recipient=world.public[AGENCIES[0]])
    refused(WrongRecipient)


def test_unknown_sender(world: World, refused: _Refusal) -> None:
    """A package signed with a key of nobody in the agreement is refused."""
    world.forge(BAD, refused.bad, sender=PrivateIdentity.generate("stranger"))
    refused(UnknownSigner)


def test_impostor(world: World, refused: _Refusal) -> None:
    """A stranger who takes a party's name is still a stranger."""
    world.forge(BAD, refused.bad, sender=PrivateIdentity.generate(BAD))
    refused(UnknownSigner)


def test_sender_is_no_party(world: World, refused: _Refusal) -> None:
    """A key that the unit knows does not make its owner a party: the unit cannot send to itself."""
    world.forge(BAD, refused.bad, sender=world.unit)
    refused(SignerNotParty)


def test_same_package_twice(world: World, refused: _Refusal) -> None:
    """The same file twice is refused."""
    refused(Replayed, paths=[*world.packages, world.packages[1]])


def test_two_packages_of_one_sender(world: World, refused: _Refusal) -> None:
    """A second package of the same sender for the same run is refused, although each is genuine."""
    world.seal(AGENCIES[0], refused.bad)
    refused(Replayed)


def test_replay_across_runs(world: World, refused: _Refusal, tmp_path: Path) -> None:
    """A register on disk finds a package that an earlier whole run took in."""
    register = tmp_path / "register.json"
    link(
        world.packages[:1],
        tmp_path / "first",
        agreement=world.agreement,
        unit=world.unit,
        known=world.public,
        created_at=NOW,
        guard=ReplayGuard(register),
    )
    refused(Replayed, paths=world.packages, guard=ReplayGuard(register))


def test_two_runs_at_the_same_time(world: World, tmp_path: Path) -> None:
    """Of two runs that took the same packages in, the one that ends second is refused whole and leaves nothing."""
    register = tmp_path / "register.json"

    def run(name: str, stage: Any = None) -> None:
        link(
            world.packages,
            tmp_path / "runs" / name,
            agreement=world.agreement,
            unit=world.unit,
            known=world.public,
            created_at=NOW,
            guard=ReplayGuard(register),
            **({} if stage is None else {"stage": stage}),
        )

    @contextmanager
    def overtaken(name: str) -> Iterator[None]:
        yield
        if name == "cluster":
            run("second")

    with pytest.raises(Replayed):
        run("first", overtaken)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["second"]


def test_a_refused_set_of_packages_can_be_sent_again(world: World, refused: _Refusal, tmp_path: Path) -> None:
    """When one package is refused, its fellows were not taken in either: the corrected set is no replay."""
    register = tmp_path / "register.json"
    world.forge(BAD, refused.bad, facts={"normaliser": "00" * 32})
    refused(WrongNormaliser, guard=ReplayGuard(register))
    refused(Replayed, paths=[*world.packages, world.packages[0]], guard=ReplayGuard(register))
    assert not register.exists()
    with connect(threads=1) as con:
        senders = take_in(
            con,
            world.packages,
            agreement=world.agreement,
            unit=world.unit,
            known=world.public,
            guard=ReplayGuard(register),
        )
    assert len(senders) == len(AGENCIES)


def test_register_takes_all_or_none(world: World, tmp_path: Path) -> None:
    """A set with one package taken in before is refused whole; checking alone remembers nothing."""
    register = tmp_path / "register.json"
    manifests = []
    for agency in AGENCIES:
        with world.opened(agency) as package:
            manifests.append((package.manifest, agency))
    guard = ReplayGuard(register)
    guard.check_all(manifests)
    assert not register.exists()
    guard.admit_all(manifests[:1])
    kept = register.read_bytes()
    with pytest.raises(Replayed):
        guard.admit_all(manifests[::-1])
    assert register.read_bytes() == kept
    guard.admit_all(manifests[1:])
    with pytest.raises(Replayed):
        ReplayGuard(register).check_all(manifests[2:])


def _with_first(table: pa.Table, name: str, value: int | None) -> pa.Table:
    """Replace the first value of a column, keeping the schema."""
    values = table.column(name).to_pylist()
    values[0] = value
    place = table.schema.get_field_index(name)
    array = pa.array(values, table.schema.field(name).type)
    return table.set_column(place, table.schema.field(name), array)


RANGES = [
    ("versions", "subject", "subjects"),
    ("contacts", "subject", "subjects"),
    (pass_part(0), "version", "versions"),
    (pass_part(len("12345")), "version", "versions"),
]


@pytest.mark.parametrize(("part", "name", "count"), RANGES)
@pytest.mark.parametrize("beyond", ["before", "after", "largest", "smallest", "missing"])
def test_numbers_of_records_that_the_package_does_not_have(
    world: World, refused: _Refusal, part: str, name: str, count: str, beyond: str
) -> None:
    """A number below 0 would mean another agency's record: it is refused like one that is too large or missing."""
    with world.opened(BAD) as package:
        end = package.manifest.counts[count]
    value = {"before": -1, "after": end, "largest": 2**31 - 1, "smallest": -(2**31), "missing": None}[beyond]
    world.forge(BAD, refused.bad, tables={part: _with_first(world.table(BAD, part), name, value)})
    error = refused(SchemaMismatch)
    assert part in str(error.where)


def test_lead_that_does_not_exist(world: World, refused: _Refusal) -> None:
    """A contact cannot name a lead contact that the package does not carry."""
    contacts = world.table(BAD, "contacts")
    world.forge(BAD, refused.bad, tables={"contacts": _with_first(contacts, "lead", contacts.num_rows + 1)})
    refused(SchemaMismatch)


def test_version_twice_in_a_pass(world: World, refused: _Refusal) -> None:
    """A version that stands twice in a pass is refused: its pairs would count twice."""
    table = world.table(BAD, pass_part(0))
    second = table.column("version").to_pylist()[1]
    world.forge(BAD, refused.bad, tables={pass_part(0): _with_first(table, "version", second)})
    refused(SchemaMismatch)


@pytest.mark.parametrize("count", ["subjects", "versions"])
def test_declared_counts_that_are_wrong(world: World, refused: _Refusal, count: str) -> None:
    """Counts that the content does not bear out are refused before they cost anything."""
    world.forge(BAD, refused.bad, counts={count: 2**50})
    refused(SchemaMismatch)


def test_missing_count(world: World, refused: _Refusal) -> None:
    """A manifest without a count that intake needs is refused in words."""
    with world.opened(BAD) as package:
        content = [
            (part.name, part.media_type, [package.read_all(part.name, part.length)])
            for part in package.manifest.parts
        ]
        facts = package.manifest.facts
    from schemas.container import write_package

    write_package(
        refused.bad,
        kind="sealed",
        sender=world.identities[BAD],
        recipient=world.unit.public,
        agreement_digest=world.agreement.digest,
        run_id=world.run_id,
        purpose=world.agreement.purpose,
        created_at=NOW,
        counts={"rows": 1},
        facts=facts,
        parts=content,
    )
    refused(ManifestInvalid)


@pytest.mark.parametrize(
    "counted", [None, "none", {}, {"pairs": -1}, {"pairs": 3, "levels": {}, "family": {}, "passes": {}}]
)
def test_malformed_level_counts(world: World, refused: _Refusal, counted: Any) -> None:
    """Aggregates of another shape are refused, not met in the middle of training."""
    world.forge(BAD, refused.bad, facts={"counted": counted})
    refused(SchemaMismatch)


def test_negative_level_count(world: World, refused: _Refusal) -> None:
    """An agency cannot bend the pooled rates with a negative count."""
    with world.opened(BAD) as package:
        counted: Any = package.manifest.facts["counted"]
    levels = {**counted["levels"], "dob": {**counted["levels"]["dob"], "exact": -5.0}}
    world.forge(BAD, refused.bad, facts={"counted": {**counted, "levels": levels}})
    refused(SchemaMismatch)


def test_column_of_another_type(world: World, refused: _Refusal) -> None:
    """Token columns have exactly the types of the scheme."""
    table = world.table(BAD, pass_part(0))
    wider = table.set_column(2, table.column_names[2], table.column(2).cast(pa.uint32()))
    world.forge(BAD, refused.bad, tables={pass_part(0): wider})
    refused(SchemaMismatch)


def test_extra_column(world: World, refused: _Refusal) -> None:
    """A column that the scheme does not have is refused, not ignored."""
    table = world.table(BAD, "contacts")
    extra = table.append_column("note", pa.nulls(table.num_rows, pa.string()))
    world.forge(BAD, refused.bad, tables={"contacts": extra})
    refused(SchemaMismatch)


def test_pass_that_is_not_there(world: World, refused: _Refusal) -> None:
    """A package sealed for fewer passes than the agreement names lacks a part."""
    fewer = replace(world.agreement, passes=world.agreement.passes[:-1])
    world.seal(BAD, refused.bad, agreement=fewer)
    refused(UnknownPart)


def test_altered_byte(world: World, refused: _Refusal) -> None:
    """A single altered byte is refused as a package error."""
    content = bytearray(world.packages[2].read_bytes())
    content[len(content) // 2] ^= 1
    refused.bad.write_bytes(content)
    with pytest.raises(PackageError):
        link(
            [*world.packages[:2], refused.bad],
            refused.out,
            agreement=world.agreement,
            unit=world.unit,
            known=world.public,
            created_at=NOW,
        )
    assert not refused.out.exists()


def test_unit_is_named_in_the_agreement(world: World) -> None:
    """The fixture's agreement keeps the unit apart from the parties, as intake relies on."""
    assert world.agreement.party(UNIT) is None
