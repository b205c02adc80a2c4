"""`seal` under an agreement that lets only people with a contact in the window be sealed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from small_county import EXCLUDED, SmallCounty

from linkage.intake_checks import require_contact
from schemas.errors import SchemaMismatch

LAST = date(2026, 6, 30)


def _seal(county: SmallCounty, out: str, *words: str | Path) -> dict[str, Any]:
    done = county.seal("police", *EXCLUDED, "--as-of", LAST.isoformat(), "--json", *words, out=out)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_only_people_in_contact_are_sealed(small_county: SmallCounty) -> None:
    """Who has no contact in the window stays at the agency, is counted, and stands in the dry run alike."""
    foreseen = _seal(small_county, "contact", "--dry-run")
    sealed = _seal(small_county, "contact")
    known = small_county.in_contact("police", LAST)
    # A person may be known under several references, so there are no more people than references.
    assert 0 < sealed["quality"]["subjects"] <= len(known)
    assert sealed["quality"]["subjects"] > 0.9 * len(known)
    assert sealed["without_contact"] == foreseen["without_contact"] > 0
    assert foreseen["people_without_contact"] == 0
    told = small_county.seal("police", *EXCLUDED, "--as-of", LAST.isoformat(), out="again")
    assert (
        f"Without a contact in the window, and so not sealed: {sealed['without_contact']:,} people."
        in told.stdout
    )


def test_nobody_in_contact_is_refused(small_county: SmallCounty) -> None:
    """A window in which nobody was seen is an error in words, and nothing is written."""
    done = small_county.seal("police", *EXCLUDED, "--as-of", "1999-01-31", out="nobody")
    assert done.exit_code == 2
    assert "nobody in the extract has a contact in the window" in done.stderr
    assert not list(small_county.folder.glob("nobody.*"))
    words = ("--as-of", "1999-01-31", "--dry-run", "--json")
    dry = small_county.seal("police", *EXCLUDED, *words, out="nobody")
    assert dry.exit_code == 1
    foreseen = json.loads(dry.stdout)
    assert foreseen["subjects"] > 0  # the report is on everybody, as there is nobody to seal
    assert [text for text in foreseen["would_refuse"] if "nobody in the extract has a contact" in text]
    assert not [text for text in foreseen["would_refuse"] if "P08" in text]


def test_the_unit_looks_for_itself() -> None:
    """Whatever a package says of itself, intake refuses one that holds people without a contact, and names it."""
    with duckdb.connect(":memory:") as con:
        con.register("held", pa.table({"subject": [0, 1, 2], "agency": ["police", "police", "health"]}))
        con.execute("CREATE TABLE subjects AS SELECT * FROM held")
        con.execute("CREATE TABLE contacts AS SELECT unnest([0, 0, 2]) AS subject")
        with pytest.raises(SchemaMismatch, match=r"police.tally: holds 1 people without a contact"):
            require_contact(con, {"police": "police.tally", "health": "health.tally"})
        con.execute("DELETE FROM subjects WHERE subject = 1")
        require_contact(con, {"police": "police.tally", "health": "health.tally"})
