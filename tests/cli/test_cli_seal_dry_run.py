"""`seal --dry-run` foresees what `seal` does: whom it leaves out, what it counts, and the words of its refusals."""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from small_county import EXCLUDED, WORDS, SmallCounty

from governance.lifecycle.request_register import RequestRegister
from hashing.ceremony import Ceremony, LinkageSecret, save_secret
from hashing.mapping import load_mapping
from tests.governance.agreements import KINDS

Words = tuple[str | Path, ...]


def references(county: SmallCounty) -> list[str]:
    """The references of the police, each once."""
    extracts = county.path("extracts")
    column = load_mapping(extracts / "mapping.yaml")["police"].columns.get("ref", "ref")
    with (extracts / "police.csv").open(encoding="utf-8-sig", newline="") as stream:
        return list(dict.fromkeys(row[column] for row in csv.DictReader(stream)))


def both(county: SmallCounty, out: str, *words: str | Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return what the dry run foresees and what the real call then says; None where it is refused in those words."""
    dry = county.seal("police", *words, "--dry-run", "--json", out=out)
    foreseen = json.loads(dry.stdout)
    assert not list(county.folder.glob(f"{out}.*"))
    real = county.seal("police", *words, "--json", out=out)
    assert real.exit_code == dry.exit_code == (1 if foreseen["would_refuse"] else 0), dry.output + real.output
    if real.exit_code:
        assert foreseen["would_refuse"][0] in real.stderr
        assert not list(county.folder.glob(f"{out}.*"))
        return foreseen, None
    return foreseen, json.loads(real.stdout)


def test_what_is_sealed_is_foreseen(small_county: SmallCounty, tmp_path: Path) -> None:
    """People, contacts, exclusions and pairs are counted alike, and nobody is named."""
    refs = small_county.in_contact("police", date(2026, 6, 30))
    (tmp_path / "exclude.csv").write_text(f"ref,reason\n{refs[0]},{KINDS[0]}\nnobody,\n", encoding="utf-8")
    (tmp_path / "apart.csv").write_text(f"ref,other_ref\n{refs[3]},{refs[4]}\nnobody,{refs[5]}\n")
    words: Words = ("--exclude", tmp_path / "exclude.csv", "--do-not-link", tmp_path / "apart.csv")
    foreseen, real = both(small_county, "foreseen", *words)
    assert real is not None
    assert foreseen["left_out"] == real["left_out"]
    assert foreseen["left_out"]["people"] == foreseen["left_out"]["not_found"] == 1
    assert foreseen["do_not_link"] == real["do_not_link"] == {"listed": 2, "pairs": 1, "not_held": 1}
    for name in ("contacts_sent", "contacts_kept_back", "contacts_after", "remarks"):
        assert foreseen[name] == real[name]
    assert foreseen["contacts_sent"] > 0
    for name in ("rows", "subjects", "versions", "unusable", "undated_contacts"):
        assert foreseen[name] == real["quality"][name]
    text = small_county.seal("police", *words, "--dry-run", out="as-text").stdout
    assert "Left out before sealing: 1 people." in text
    assert (
        "Pairs to be kept apart: 1 of 2 listed. With a reference that the extract does not have: 1." in text
    )
    assert (
        f"Contacts that would leave: {real['contacts_sent']:,}, all after {real['contacts_after']}." in text
    )
    assert "Sealed now, this would not be refused." in text
    assert refs[0] not in text


def test_upheld_objection_is_foreseen(small_county: SmallCounty, tmp_path: Path) -> None:
    """The register of requests is asked: the dry run names the case, and with --exclude it is satisfied."""
    ref = references(small_county)[0]
    register = RequestRegister.create(tmp_path / "police.requests")
    register.add(kind="objection", agency="police", received=date.today(), refs=[ref])
    asked: Words = ("--request-register", register.path)
    assert both(small_county, "dry-open", *asked, *EXCLUDED)[1] is not None
    register.close("request-1", "applied", on=date.today())
    foreseen, real = both(small_county, "dry-upheld", *asked, *EXCLUDED)
    assert real is None
    assert (
        "O06: the extract holds people whose objection was upheld: request-1." in foreseen["would_refuse"][0]
    )
    text = small_county.seal("police", *asked, *EXCLUDED, "--dry-run", out="dry-text")
    assert text.exit_code == 1
    assert "this would be refused:\n  - " in text.stdout
    assert "request-1" in text.stdout
    assert ref not in text.output
    listed = tmp_path / "exclude.csv"
    listed.write_text(f"ref,reason\n{ref},{KINDS[0]}\n", encoding="utf-8")
    assert both(small_county, "dry-without", *asked, "--exclude", listed)[1] is not None


def test_rules_on_the_package_are_foreseen(small_county: SmallCounty) -> None:
    """Exclusions that nobody attests (P12), and a file name that holds a number of a person (P03), are refused."""
    foreseen, real = both(small_county, "unattested")
    assert real is None
    assert "P12" in foreseen["would_refuse"][0]
    foreseen, real = both(small_county, "9434765919", *EXCLUDED)
    assert real is None
    assert "P03" in foreseen["would_refuse"][0]


def test_exceptions_count(small_county: SmallCounty) -> None:
    """What a signed exception sets aside is remarked, not refused, in both."""
    granted = small_county.grant("dry-run.exception")
    foreseen, real = both(small_county, "excepted", "--exception", granted)
    assert real is not None
    assert foreseen["remarks"] == real["remarks"]
    assert any("P12" in remark for remark in foreseen["remarks"])


def test_one_person_listed_as_two_is_foreseen(small_county: SmallCounty, tmp_path: Path) -> None:
    """A pair that is one person is refused with the row of the list, in the dry run beside the report."""
    ref = references(small_county)[0]
    (tmp_path / "apart.csv").write_text(f"ref,other_ref\n{ref},{ref}\n")
    words: Words = (*EXCLUDED, "--do-not-link", tmp_path / "apart.csv")
    dry = small_county.seal("police", *words, "--dry-run", "--json", out="one")
    real = small_county.seal("police", *words, out="one")
    (told,) = json.loads(dry.stdout)["would_refuse"]
    assert told in real.stderr
    assert "row 2" in told
    assert (dry.exit_code, real.exit_code) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agreement_digest": "0" * 64}, "D"),
        ({"starts_on": date(2020, 1, 1), "expires_on": date(2020, 6, 1)}, "is expired"),
    ],
)
def test_the_linkage_secret_is_foreseen(
    small_county: SmallCounty, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    """A secret of another agreement, or an expired one, is known by what stands in the open in its file."""
    usual: dict[str, Any] = {
        "agreement_digest": small_county.agreement.digest,
        "epoch": 1,
        "parties": ("health", "police"),
        "starts_on": date.today(),
        "expires_on": date.today() + timedelta(days=30),
    }
    secret = LinkageSecret(ceremony=Ceremony(**{**usual, **changes}), value=bytes(32))
    save_secret(secret, tmp_path / "x.secret", WORDS["TALLYSTICK_PASSPHRASE"].encode(), "tests-only")
    told: Words = (*EXCLUDED, "--secret", tmp_path / "x.secret")
    foreseen, real = both(small_county, "other-secret", *told)
    assert real is None
    assert words in foreseen["would_refuse"][0]
    foreseen = json.loads(
        small_county.seal("police", "--secret", tmp_path / "none", "--dry-run", "--json", out="x").stdout
    )
    assert "none" in foreseen["would_refuse"][0]
    assert foreseen["rows"] > 0
