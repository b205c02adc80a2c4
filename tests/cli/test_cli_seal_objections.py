"""`tallystick seal` asks the agency's register of requests: whose objection was upheld does not leave."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from small_county import EXCLUDED, SmallCounty

from governance.lifecycle.request_register import RequestRegister
from hashing.mapping import load_mapping
from tests.governance.agreements import KINDS


def test_seal_refuses_a_person_whose_objection_was_upheld(small_county: SmallCounty, tmp_path: Path) -> None:
    """The case is named, no reference is; left out by --exclude, the package is made. An open request stops nothing."""
    mapping_file = small_county.path("extracts") / "mapping.yaml"
    column = "ref"
    if mapping_file.exists():
        column = load_mapping(mapping_file)["police"].columns.get("ref", "ref")
    with (small_county.path("extracts") / "police.csv").open(encoding="utf-8-sig", newline="") as stream:
        ref = next(csv.DictReader(stream))[column]
    register = RequestRegister.create(tmp_path / "police.requests")
    register.add(kind="objection", agency="police", received=date.today(), refs=[ref])
    asked = ("--request-register", register.path)
    assert small_county.seal("police", *asked, *EXCLUDED, out="while-open").exit_code == 0
    register.close("request-1", "applied", on=date.today())
    refused = small_county.seal("police", *asked, *EXCLUDED, out="refused")
    assert refused.exit_code == 1, refused.output
    assert "O06: the extract holds people whose objection was upheld: request-1." in refused.stderr
    assert "--exclude" in refused.stderr
    assert ref not in refused.output
    assert not small_county.path("refused.tally").exists()
    assert not small_county.path("refused.crosswalk").exists()
    listed = tmp_path / "exclude.csv"
    listed.write_text(f"ref,reason\n{ref},{KINDS[0]}\n", encoding="utf-8")
    assert small_county.seal("police", *asked, "--exclude", listed, out="without").exit_code == 0
