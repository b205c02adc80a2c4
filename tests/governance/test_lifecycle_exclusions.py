"""People left out before sealing: whole, counted by reason, and nothing of them left in what is sealed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashing.exclusions import attested, leave_out, read_exclusions
from hashing.extract import Extract
from hashing.subjects import Subjects, collapse
from schemas.errors import ExtractError, InputError

NAMES = ("Ann", "Bea", "Cleo", "Dov", "Esme", "Finn")


def subjects_of(extra: dict[str, str] | None = None) -> Subjects:
    """Return six people with two rows each; `extra` gives some of them a second reference."""
    rows = []
    for number, name in enumerate(NAMES):
        refs = [f"R{number}", (extra or {}).get(f"R{number}", f"R{number}")]
        rows += [
            (ref, name, "Jones", f"199{number}-03-04", "LS6 3AB", f"2026-0{number + 1}-01", f"lead {number}")
            for ref in refs
        ]
    names = ("ref", "forename", "surname", "dob", "postcode", "record_date", "lead_contact")
    columns = {name: pa.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    return collapse(
        Extract(agency="police", rows=len(rows), columns=columns, source="test"), today=date(2026, 7, 1)
    )


def shape(subjects: Subjects) -> dict[str, tuple[str | None, int, str | None]]:
    """Return reference -> forename, number of contacts and lead: what the subjects say of each person."""
    found = {}
    for ref, number in zip(subjects.refs.to_pylist(), subjects.ref_subject.tolist(), strict=True):
        (version,) = [n for n, owner in enumerate(subjects.version_subject.tolist()) if owner == number]
        coded = subjects.fields["forename"]
        contacts = [n for n, owner in enumerate(subjects.contacts.subject.tolist()) if owner == number]
        lead = subjects.contacts.lead
        found[ref] = (
            coded.values[int(coded.codes[version])].as_py(),
            len(contacts),
            lead.values[int(lead.codes[contacts[0]])].as_py(),
        )
    return found


@settings(max_examples=30, deadline=None)
@given(st.sets(st.sampled_from([f"R{n}" for n in range(6)]), max_size=5))
def test_exactly_the_people_named_go(named: set[str]) -> None:
    """Everybody else keeps name, contacts and lead; of those left out no value is carried along."""
    before = subjects_of()
    after, told = leave_out(before, dict.fromkeys(sorted(named), "objection"))
    assert shape(after) == {ref: value for ref, value in shape(before).items() if ref not in named}
    assert after.count == before.count - len(named) == after.quality.subjects
    assert (told.people, told.not_found) == (len(named), 0)
    if named:
        assert len(after.fields["forename"].values) == after.count
        assert len(after.contacts.lead.values) == after.count


def test_a_person_goes_under_all_references() -> None:
    """The same identifiers under another reference are the same person, who would otherwise show."""
    subjects = subjects_of({"R1": "R1b"})
    after, told = leave_out(subjects, {"R1b": "protected_address", "R9": "objection"})
    assert not {"R1", "R1b"} & set(after.refs.to_pylist())
    assert (told.people, dict(told.by_kind), told.not_found) == (1, {"protected_address": 1}, 1)


def test_each_person_counts_once() -> None:
    """Two references of one person with two reasons are one person, under the first reason of the file."""
    _, told = leave_out(subjects_of({"R1": "R1b"}), {"R1b": "adoption", "R1": "objection"})
    assert dict(told.by_kind) == {"adoption": 1}


def test_counts_are_attested_for_each_agreed_kind() -> None:
    """None is a count too, and people left out of the extract before are added."""
    _, told = leave_out(subjects_of(), {"R0": "objection"})
    kinds = ["objection", "adoption"]
    assert attested(kinds, told, {"objection": 2, "court": 1}) == {"objection": 3, "adoption": 0, "court": 1}


def test_nobody_left_is_refused() -> None:
    """A file that leaves nobody to seal is a mistake."""
    with pytest.raises(ExtractError, match="leave nobody"):
        leave_out(subjects_of(), {f"R{n}": "objection" for n in range(6)})


def test_reasons_are_those_of_the_agreement(tmp_path: Path) -> None:
    """A reason that the agreement does not name is refused by its place; none at all is counted as such."""
    path = tmp_path / "exclude.csv"
    path.write_text("ref,reason\nR1,Protected address\nR2,\n")
    assert read_exclusions(path, ["protected_address"]) == {"R1": "protected_address", "R2": "unstated"}
    path.write_text("ref,reason\nR1,objection\nRCANARY,whim\n")
    with pytest.raises(InputError) as told:
        read_exclusions(path, ["objection"])
    assert "entry 2" in str(told.value)
    assert "CANARY" not in str(told.value)
