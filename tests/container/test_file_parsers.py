"""Every file that somebody else wrote, with the right fields and anything in them: read, or refused in words.

Packages and their layers are in test_container_parsers.py; the same targets under coverage guidance are `make fuzz`.
"""

from __future__ import annotations

import contextlib
import json
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from package_forge import FOLDER

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

import mutate
import targets
from test_canonical import VALUES

from governance.agreement import Agreement, load_agreement, parse_agreement
from governance.draft import draft_agreement
from hashing.ceremony import Ceremony, LinkageSecret, check_value, read_commitment, write_handover
from hashing.exchange import read_ceremony, write_ceremony
from hashing.lifecycle import take_over
from hashing.opening import open_return
from schemas.canonical import canonical_json
from schemas.container import ReplayGuard, write_package
from schemas.dsse import sign_payload
from schemas.errors import (
    AgreementInvalid,
    CeremonyError,
    Corrupted,
    EnvelopeInvalid,
    IdentityError,
    InputError,
    PackageError,
    SchemaMismatch,
)
from schemas.identity import PrivateIdentity, load_identity
from schemas.keyfile import describe_secret_file
from schemas.payload import CROSSWALK, RETURN
from schemas.tables import ARROW_STREAM, arrow_stream

FAST = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SLOW = settings(FAST, max_examples=40)
SEEDS = targets.parser_seeds()
POLICE, HEALTH, UNIT = (targets.PEOPLE[name] for name in ("police", "health", "unit"))
NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
KNOWN = {name: identity.public for name, identity in targets.PEOPLE.items()}
# Values of the wrong kind for one field are likelier to be right for another.
ODD = VALUES | st.sampled_from(
    [1, 2, True, "", "2026-01-01", "health", "tests-only", "AAAA", [], {}, ["health"]]
)


@settings(FAST, max_examples=400)
@given(st.sampled_from(sorted(SEEDS)), st.randoms(use_true_random=False))
def test_mutated_documents(tmp_path: Path, name: str, rng: Any) -> None:
    """A document with a few bytes changed makes no parser raise anything outside the tree."""
    targets.attempt(name, mutate.mutate(rng.choice(SEEDS[name]), rng), tmp_path / "input")


@pytest.mark.parametrize("name", ["~", "1", "1.5", "true", "? "])
def test_agreement_with_a_name_that_is_no_text(tmp_path: Path, name: str) -> None:
    """YAML reads some names as numbers or nothing; an agreement with one is refused (found by `make fuzz`)."""
    path = tmp_path / "agreement.yaml"
    for text in (f"{name}: x\n", f"x-ours:\n  - a: 1\n    {name}: x\n"):
        path.write_text(SEEDS["agreement"][0].decode() + text, encoding="utf-8")
        with pytest.raises(AgreementInvalid, match=r"must be text|well-formed|entries"):
            load_agreement(path)
    text = SEEDS["agreement"][0].decode()
    for alone in (f"{name}: x\n", text.replace("parties:", "pirties:") + f"x-ours: [{{{name}: x}}]\n"):
        path.write_text(alone, encoding="utf-8")
        with pytest.raises(AgreementInvalid):
            load_agreement(path)


def test_the_seeds_are_read(tmp_path: Path) -> None:
    """The fuzzers start from documents that each parser reads, so that a refusal means something."""
    for name, seeds in SEEDS.items():
        assert targets.attempt(name, seeds[0], tmp_path / "input"), name


def _changed(data: st.DataObject, fields: dict[str, Any]) -> dict[str, Any]:
    """Replace, drop or add one to three fields."""
    made = dict(fields)
    for name in data.draw(st.lists(st.sampled_from([*sorted(fields), "more"]), min_size=1, max_size=3)):
        if data.draw(st.booleans()) or name == "more":
            made[name] = data.draw(ODD)
        else:
            made.pop(name, None)
    return made


@FAST
@given(st.data())
def test_key_files(tmp_path: Path, data: st.DataObject) -> None:
    """A key file with anything in its fields is a key file, or refused as one."""
    path = tmp_path / "any.key"
    fields = _changed(data, json.loads((FOLDER / "police.key").read_bytes()))
    path.write_bytes(canonical_json(fields))
    with contextlib.suppress(IdentityError):
        describe_secret_file(path)
    with contextlib.suppress(IdentityError):
        load_identity(path, b"correct horse")


@FAST
@given(st.data())
def test_ceremony_files(tmp_path: Path, data: st.DataObject) -> None:
    """`ceremony.json` with anything in it describes a ceremony, or is refused."""
    path = tmp_path / "ceremony.json"
    inner = _changed(data, targets.CEREMONY.to_dict())
    outer = {"format": "tallystick-ceremony", "version": 1, "ceremony": inner}
    path.write_bytes(canonical_json(_changed(data, outer) if data.draw(st.booleans()) else outer))
    with contextlib.suppress(CeremonyError):
        assert read_ceremony(path).to_dict() == inner


PARTIES = st.lists(
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True), min_size=2, max_size=6, unique=True
)


@FAST
@given(PARTIES, st.integers(1, 10**9), st.dates(max_value=date(2200, 1, 1)), st.integers(0, 3000))
def test_ceremonies_read_back(
    tmp_path: Path, parties: list[str], epoch: int, starts: date, days: int
) -> None:
    """Every ceremony is read back as it was written."""
    ceremony = Ceremony(
        agreement_digest="sha256:" + "a" * 64,
        epoch=epoch,
        parties=tuple(sorted(parties)),
        starts_on=starts,
        expires_on=starts + timedelta(days=days),
    )
    (tmp_path / "ceremony.json").unlink(missing_ok=True)
    assert read_ceremony(write_ceremony(tmp_path, ceremony)) == ceremony
    with pytest.raises(CeremonyError):
        write_ceremony(tmp_path, targets.CEREMONY)


@FAST
@given(st.data())
def test_registers(tmp_path: Path, data: st.DataObject) -> None:
    """A register of packages with anything in it is one, or refused; never taken for an empty one."""
    path = tmp_path / "register.json"
    fields = _changed(data, {"format": "tallystick-replay-register", "version": 1, "seen": ["a", "b"]})
    path.write_bytes(canonical_json(fields))
    with contextlib.suppress(InputError):
        ReplayGuard(path)
        assert isinstance(fields["seen"], list)


@FAST
@given(st.data())
def test_commitments(data: st.DataObject) -> None:
    """A commitment that an agency signed with anything in it is one, or refused."""
    body = {"ceremony": targets.CEREMONY.to_dict(), "party": "police", "commitment": "00" * 32}
    envelope = sign_payload(
        "application/vnd.tallystick.commitment.v1+json", canonical_json(_changed(data, body)), [POLICE]
    )
    with contextlib.suppress(CeremonyError, EnvelopeInvalid):
        assert read_commitment(envelope, known=KNOWN, ceremony=targets.CEREMONY).party == "police"


@SLOW
@given(st.data())
def test_handovers(tmp_path: Path, data: st.DataObject) -> None:
    """A handover that an agency signed with any facts and any content is refused, whatever it says."""
    path = tmp_path / "any.handover"
    facts = {"ceremony": _changed(data, targets.CEREMONY.to_dict())}
    write_package(
        path,
        kind="handover",
        sender=POLICE,
        recipient=HEALTH.public,
        agreement_digest=targets.CEREMONY.agreement_digest,
        run_id="epoch-1",
        purpose="linkage-secret",
        created_at=NOW,
        counts={},
        facts=facts,
        parts=[("secret", "application/octet-stream", [data.draw(st.binary(max_size=100))])],
    )
    with pytest.raises((PackageError, CeremonyError)):
        _take_over(path, "12345 12345 12345 12345")


def _take_over(path: Path, spoken: str) -> LinkageSecret:
    return take_over(
        path,
        recipient=HEALTH,
        known=KNOWN,
        agreement_digest=targets.CEREMONY.agreement_digest,
        parties=targets.CEREMONY.parties,
        spoken=spoken,
    )


def test_an_honest_handover(tmp_path: Path) -> None:
    """The handover that the others are changed from is accepted with the right check value."""
    path = tmp_path / "honest.handover"
    secret = LinkageSecret(ceremony=targets.CEREMONY, value=bytes(range(32)))
    write_handover(path, secret, sender=POLICE, recipient=HEALTH.public, created_at=NOW)
    assert _take_over(path, check_value(secret)).sealing_key() == secret.sealing_key()


# --- a return and its crosswalk ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def agreement() -> Agreement:
    """An agreement between police and health."""
    return parse_agreement(
        draft_agreement(
            parties={"police": "police", "health": "health"},
            passes=("nhs_number", "dob+name_set"),
            today=NOW.date(),
            identities=KNOWN,
            unit_id="unit",
        )
    )


def _write(path: Path, agreement: Agreement, sender: PrivateIdentity, **values: Any) -> None:
    name, table = values.pop("table")
    write_package(
        path,
        sender=sender,
        recipient=POLICE.public,
        agreement_digest=agreement.digest,
        run_id="2026-06",
        purpose=agreement.purpose,
        created_at=NOW,
        parts=[(name, ARROW_STREAM, arrow_stream(table.schema, iter(table.to_batches())))],
        **values,
    )


INTS = st.integers(-(2**31), 2**31 - 1)
ROW = st.fixed_dictionaries(
    {
        "subject": INTS | st.integers(0, 3),
        "person": INTS,
        "agency": st.sampled_from(["police", "health", ""]),
        "own": st.booleans(),
        "contact_count": st.none() | INTS,
        "first_date": st.none() | st.dates(),
        "last_date": st.none() | st.dates(),
        "open_case": st.none() | st.booleans(),
        "lead_sealed": st.none() | st.binary(max_size=60),
        "lead_agency": st.none() | st.sampled_from(["police", "health", ""]),
    }
)
REFS = st.lists(
    st.fixed_dictionaries({"ref": st.text(max_size=5), "subject": INTS | st.integers(0, 3)}), max_size=6
)


@SLOW
@given(st.lists(ROW, max_size=6), REFS, st.data())
def test_returns_and_crosswalks(
    tmp_path: Path,
    agreement: Agreement,
    rows: list[dict[str, Any]],
    refs: list[dict[str, Any]],
    data: st.DataObject,
) -> None:
    """A return that the unit signed, and a crosswalk, with anything in them are opened, or refused."""
    facts = {"seal_id": "s", "window_months": 12, "as_of": "2026-06-30"}
    if data.draw(st.booleans()):
        facts = _changed(data, facts)
    _write(
        tmp_path / "return.tally",
        agreement,
        UNIT,
        kind="return",
        counts={"rows": len(rows), "people": 1},
        facts=facts,
        table=("contacts", pa.Table.from_pylist(rows, schema=RETURN)),
    )
    _write(
        tmp_path / "police.crosswalk",
        agreement,
        POLICE,
        kind="crosswalk",
        counts={"refs": len(refs)},
        facts={"seal_id": "s"},
        table=("refs", pa.Table.from_pylist(refs, schema=CROSSWALK)),
    )
    with contextlib.suppress(PackageError):
        opened = open_return(
            tmp_path / "return.tally",
            crosswalk=tmp_path / "police.crosswalk",
            extract_columns={"ref": pa.array(["a", None])},
            agreement=agreement,
            owner=POLICE,
            known=KNOWN,
            secret=bytes(32),
        )
        assert set(opened.table.column("ref").to_pylist()) <= {entry["ref"] for entry in refs}


@pytest.mark.parametrize(
    ("change", "facts", "expected"),
    [
        ({}, {"window_months": None}, SchemaMismatch),
        ({}, {"as_of": "30 June"}, SchemaMismatch),
        ({"lead_sealed": b"short", "lead_agency": "health"}, {}, Corrupted),
        ({"lead_sealed": bytes(40), "lead_agency": None}, {}, Corrupted),
    ],
)
def test_returns_that_are_refused(
    tmp_path: Path,
    agreement: Agreement,
    change: dict[str, Any],
    facts: dict[str, Any],
    expected: type[Exception],
) -> None:
    """A window that is none, and a lead contact that cannot be one, have their own refusals."""
    row = {"subject": 0, "person": 0, "agency": "health", "own": False, **change}
    _write(
        tmp_path / "return.tally",
        agreement,
        UNIT,
        kind="return",
        counts={"rows": 1, "people": 1},
        facts={"seal_id": "s", "window_months": 12, "as_of": "2026-06-30", **facts},
        table=("contacts", pa.Table.from_pylist([row], schema=RETURN)),
    )
    _write(
        tmp_path / "police.crosswalk",
        agreement,
        POLICE,
        kind="crosswalk",
        counts={"refs": 1},
        facts={"seal_id": "s"},
        table=("refs", pa.Table.from_pylist([{"ref": "a", "subject": 0}], schema=CROSSWALK)),
    )
    with pytest.raises(expected):
        open_return(
            tmp_path / "return.tally",
            crosswalk=tmp_path / "police.crosswalk",
            extract_columns={"ref": pa.array(["a"])},
            agreement=agreement,
            owner=POLICE,
            known=KNOWN,
            secret=bytes(32),
        )
