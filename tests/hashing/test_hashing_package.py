"""From subjects to a package, and from a return back to names."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sealing_builders import LIMITS, extract_of, person, subjects_of

from governance.agreement import Agreement, parse_agreement
from governance.draft import draft_agreement
from hashing.keys import RunKeys
from hashing.opening import open_return
from hashing.package import CROSSWALK, seal_subjects, write_crosswalk
from hashing.results import RESULT_COLUMNS
from hashing.sending import in_window, lead_context
from hashing.shuffling import shuffle
from schemas.container import open_package, write_package
from schemas.dates import months_before
from schemas.errors import Corrupted, WrongRun
from schemas.identity import PrivateIdentity
from schemas.payload import CONTACTS, LEADS, RETURN, VERSIONS, pass_part, pass_schema
from schemas.policies import Expectation
from schemas.tables import ARROW_STREAM, arrow_stream, read_batches

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
SECRET = bytes(range(32))
RUN = "2026-06"
PEOPLE = {name: PrivateIdentity.generate(name) for name in ("police", "health", "linkage-unit")}
PUBLIC = {name: identity.public for name, identity in PEOPLE.items()}
ROWS = [
    {
        **person(f"r{n}", [(n * 5 + k * n) % limit for k, limit in enumerate(LIMITS)]),
        "record_date": f"2026-02-{n + 1:02d}",
        "case_status": "open" if n % 2 else "closed",
        "lead_contact": ("Quillfeather, extension 7781", None, "T")[n % 3],
    }
    for n in range(9)
]


@pytest.fixture(scope="module")
def agreement() -> Agreement:
    """An agreement between two agencies."""
    document = draft_agreement(
        everyone=True,
        parties={"police": "police", "health": "health"},
        passes=["dob+surname.phonetic", "postcode+forename.initial"],
        today=date(2026, 1, 1),
        identities=PUBLIC,
    )
    return parse_agreement(document)


def table_of(package: Any, part: str, schema: pa.Schema) -> pa.Table:
    """Read a part."""
    return pa.Table.from_batches(read_batches(package, part, schema=schema, max_rows=1000), schema=schema)


@pytest.mark.parametrize("shared", [False, True], ids=["one thread", "processes"])
def test_package_holds_what_the_specification_says(
    tmp_path: Path, agreement: Agreement, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts, counts, facts and report fit each other, and the unit reads all of it but the lead contacts."""
    if shared:  # as for a large extract; where a system cannot fork, a thread does it all the same
        monkeypatch.setattr("hashing.workers.FORK_ROWS", 1)
    subjects = shuffle(subjects_of(ROWS))
    target = tmp_path / "police.tally"
    done: list[tuple[int, int]] = []
    report = seal_subjects(
        subjects,
        target,
        agreement=agreement,
        run_id=RUN,
        secret=SECRET,
        sender=PEOPLE["police"],
        unit=PUBLIC["linkage-unit"],
        created_at=NOW,
        seal_id="0f" * 16,
        progress=lambda *step: done.append(step),
    )
    assert done == [(1, 2), (2, 2)]
    expect = Expectation(kind="sealed", agreement_digest=agreement.digest, run_id=RUN, sender="police")
    with open_package(
        target, recipient=PEOPLE["linkage-unit"], known_senders=PUBLIC, expect=expect
    ) as package:
        counts, facts = package.manifest.counts, package.manifest.facts
        versions = table_of(package, "versions", VERSIONS)
        tokens = [table_of(package, pass_part(n), pass_schema(p)) for n, p in enumerate(agreement.passes)]
        contacts = table_of(package, "contacts", CONTACTS)
        leads = table_of(package, "leads", LEADS)
    assert counts == {
        "rows": 9, "subjects": subjects.count, "versions": versions.num_rows, "contacts": contacts.num_rows,
        "apart": 0,
    }  # fmt: skip
    assert versions.column("subject").to_pylist() == subjects.version_subject.tolist()
    for made, table, blocking in zip(report.passes, tokens, agreement.passes, strict=True):
        assert (made.name, made.sealed) == (blocking.name, table.num_rows)
        assert made.sealed + made.incomplete + made.crowded == counts["versions"]
    assert facts["scheme"] == "block-sealed-v1"
    assert (
        facts["key_check"]
        == RunKeys(secret=SECRET, agreement_digest=agreement.digest, run_id=RUN).key_check()
    )
    assert set(facts) == {
        "scheme",
        "key_check",
        "normaliser",
        "standards",
        "quality",
        "counted",
        "seal_id",
        "contacts_after",
        "people_without_contact",
    }
    assert facts["people_without_contact"] == subjects.count - len(
        set(contacts.column("subject").to_pylist())
    )
    assert set(facts["counted"]["passes"]) == {blocking.name for blocking in agreement.passes}  # type: ignore[index, call-overload]
    assert facts["contacts_after"] == report.contacts_after == "2025-02-09"
    assert (report.contacts_sent, report.contacts_kept_back) == (9, 0)
    assert contacts.column("subject").to_pylist() == sorted(contacts.column("subject").to_pylist())
    sealed = leads.column("sealed").to_pylist()
    assert {len(each) for each in sealed} == {12 + 64 + 16}  # a long and a short one look alike
    assert not any(b"Quillfeather" in each for each in sealed)
    assert "Quillfeather" not in str(facts)


@pytest.fixture
def returned(tmp_path: Path, agreement: Agreement) -> dict[str, Any]:
    """A return that tells the police of one subject known to health too, and of one that is not theirs to name."""
    subjects = subjects_of([*ROWS, {**ROWS[0], "ref": "twin of r0"}])
    write_crosswalk(
        subjects,
        tmp_path / "own.tally",
        agreement=agreement,
        run_id=RUN,
        owner=PEOPLE["police"],
        created_at=NOW,
        seal_id="this one",
    )
    of_ref = dict(zip(subjects.refs.to_pylist(), subjects.ref_subject.tolist(), strict=True))
    assert of_ref["r0"] == of_ref["twin of r0"]
    keys = RunKeys(secret=SECRET, agreement_digest=agreement.digest, run_id=RUN)
    text = b"Ward 7"
    plain = (len(text).to_bytes(4, "big") + text).ljust(64, b"\0")
    context = lead_context(agreement.digest, RUN, "health")
    lead = bytes(12) + AESGCM(keys.display_key()).encrypt(bytes(12), plain, context)
    day = date(2026, 2, 1)
    rows = [
        (of_ref["r0"], 1, "police", True, 1, day, day, False, None, None),
        (of_ref["r0"], 1, "health", False, 4, day, day, True, lead, "health"),
    ]
    table = pa.Table.from_pylist([dict(zip(RETURN.names, row, strict=True)) for row in rows], schema=RETURN)

    def write(run: str = RUN, seal_id: str = "this one", **changes: Any) -> dict[str, Any]:
        write_package(
            tmp_path / "return.tally",
            kind="return",
            sender=PEOPLE["linkage-unit"],
            recipient=PUBLIC["police"],
            agreement_digest=agreement.digest,
            run_id=run,
            purpose=agreement.purpose,
            created_at=NOW,
            counts={"people": 1, "rows": table.num_rows},
            facts={"window_months": 12, "as_of": "2026-06-30", "seal_id": seal_id},
            parts=[("contacts", ARROW_STREAM, arrow_stream(RETURN, iter(table.to_batches())))],
        )
        return {
            "crosswalk": tmp_path / "own.tally",
            "extract_columns": extract_of([*ROWS, {**ROWS[0], "ref": "twin of r0"}]).columns,
            "agreement": agreement,
            "owner": PEOPLE["police"],
            "known": PUBLIC,
            "secret": SECRET,
            **changes,
        }

    return {"write": write, "path": tmp_path / "return.tally"}


def test_a_return_gets_its_names_back(returned: dict[str, Any]) -> None:
    """Each reference of the subject has one row for each other agency, with own names and the lead in the clear."""
    opened = open_return(returned["path"], **returned["write"]())
    assert opened.table.column_names == list(RESULT_COLUMNS)
    rows = opened.table.to_pylist()
    assert [row["ref"] for row in rows] == ["r0", "twin of r0"]
    for row in rows:
        assert {name: row[name] for name in ("forename", "surname", "dob")} == {
            name: ROWS[0][name] for name in ("forename", "surname", "dob")
        }
        assert (row["agency"], row["agencies"], row["contact_count"], row["open_case"]) == (
            "health",
            2,
            4,
            True,
        )
        assert row["lead_contact"] == "Ward 7"
    assert (opened.people, opened.months, opened.as_of, opened.run_id) == (1, 12, "2026-06-30", RUN)


def test_another_secret_does_not_open_leads(returned: dict[str, Any]) -> None:
    """The wrong linkage secret is named as the cause, and nothing is shown."""
    with pytest.raises(Corrupted, match="lead contact cannot be decrypted with this linkage secret"):
        open_return(returned["path"], **returned["write"](secret=bytes(32)))


def test_a_crosswalk_of_another_run_is_refused(returned: dict[str, Any]) -> None:
    """References of one run are never put beside the results of another."""
    with pytest.raises(WrongRun):
        open_return(returned["path"], **returned["write"](run="2026-07"))


def test_a_crosswalk_of_another_sealing_is_refused(returned: dict[str, Any]) -> None:
    """Two sealings of one run number subjects differently, so their crosswalks are not exchangeable."""
    with pytest.raises(WrongRun, match="another sealing"):
        open_return(returned["path"], **returned["write"](seal_id="that one"))


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 6, 30), 12, date(2025, 6, 30)),
        (date(2024, 2, 29), 12, date(2023, 2, 28)),
        (date(2026, 3, 31), 1, date(2026, 2, 28)),
        (date(2026, 1, 15), 1, date(2025, 12, 15)),
        (date(2026, 12, 31), 36, date(2023, 12, 31)),
    ],
)
def test_months_before(day: date, months: int, expected: date) -> None:
    """Calendar months back, and the last of the month where there is no such day."""
    assert months_before(day, months) == expected


def test_only_contacts_in_the_window_leave(agreement: Agreement) -> None:
    """Older, later and undated contacts stay at the agency, and so do leads that only they have."""
    days = ["2025-06-30", "2025-07-01", "2026-06-30", None]
    rows = [
        {**person(f"r{n}", [n] * 3 + [0] * 5), "record_date": day, "lead_contact": f"Team {n}"}
        for n, day in enumerate(days)
    ]
    contacts = subjects_of(rows).contacts
    sent, after = in_window(contacts, agreement, date(2026, 6, 30))
    assert after == date(2025, 6, 30)
    assert sent.subject.tolist() == [1, 2]
    assert [sent.lead.values[int(code)].as_py() for code in sent.lead.codes] == ["Team 1", "Team 2"]
    assert len(sent.lead.values) == 2
    early, _ = in_window(contacts, agreement, date(2026, 6, 29))
    assert early.subject.tolist() == [0, 1]
    latest, _ = in_window(contacts, agreement, None)
    assert latest.subject.tolist() == sent.subject.tolist()


def test_fields_that_are_not_agreed_do_not_leave(agreement: Agreement) -> None:
    """Without the date nothing about contacts leaves; without status and lead only days do."""

    def without(*names: str) -> Agreement:
        kept = [entry for entry in agreement.document["fields"] if entry["name"] not in names]
        return parse_agreement({**agreement.document, "fields": kept})

    contacts = subjects_of(ROWS).contacts
    assert len(in_window(contacts, without("record_date"), date(2026, 6, 30))[0].day) == 0
    bare, _ = in_window(contacts, without("case_status", "lead_contact"), date(2026, 6, 30))
    assert len(bare.day) == len(ROWS)
    assert set(bare.is_open.tolist()) == {-1}
    assert len(bare.lead.values) == 0


def test_crosswalk_is_for_its_owner(tmp_path: Path, agreement: Agreement) -> None:
    """The crosswalk holds every reference, and opens for the agency itself."""
    subjects = subjects_of(ROWS)
    write_crosswalk(
        subjects,
        tmp_path / "own.tally",
        agreement=agreement,
        run_id=RUN,
        owner=PEOPLE["police"],
        created_at=NOW,
    )
    expect = Expectation(kind="crosswalk", agreement_digest=agreement.digest, run_id=RUN, sender="police")
    with open_package(
        tmp_path / "own.tally", recipient=PEOPLE["police"], known_senders=PUBLIC, expect=expect
    ) as package:
        refs = table_of(package, "refs", CROSSWALK)
    assert refs.to_pydict() == {"ref": subjects.refs.to_pylist(), "subject": subjects.ref_subject.tolist()}
