"""A county whose parties use the real commands, with key files that are quick to open: for refusals and exceptions."""

from __future__ import annotations

import copy
import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from click.testing import Result

from governance.agreement import Agreement, load_agreement, parse_agreement, read_document
from governance.agreement_complete import complete, rehearsal_fill, without_todos
from governance.agreement_signatures import write_signature
from governance.agreement_template import Wishes, draft_from_template
from governance.draft import agreement_yaml
from governance.exceptions import PAYLOAD_TYPE, new_exception
from hashing.ceremony import Ceremony, LinkageSecret, save_secret
from hashing.mapping import load_mapping
from schemas.atomic import atomic_write
from schemas.canonical import canonical_json, parse_canonical, parse_json
from schemas.container import open_package, write_package
from schemas.dates import months_before
from schemas.dsse import parse_envelope, sign_payload
from schemas.identity import PrivateIdentity, save_identity
from schemas.payload import RETURN
from schemas.policies import Expectation
from schemas.tables import ARROW_STREAM, arrow_stream
from tests.conftest import run
from tests.governance.agreements import KINDS

AGENCIES = ("childrens_social_care", "health", "police")
UNIT = "linkage-unit"
RUN = "2026-11"
TODAY = datetime.now(UTC).date()
WORDS = {"TALLYSTICK_PASSPHRASE": "for tests"}
REASON = ("--reason", "Monthly refresh")
EXCLUDED = [word for kind in KINDS for word in ("--excluded", f"{kind}=0")]
ROLE = {"role": "caldicott_guardian", "party": "health", "rules": ["O01", "O02", "O04", "O05", "O06", "P12"]}
"""Who may sign exceptions in this county, and to which rules."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallCounty:
    """Three agencies and a unit: signed agreement, keys, linkage secret, extracts and an audit log each."""

    folder: Path
    identities: dict[str, PrivateIdentity]

    def path(self, name: str) -> Path:
        """Return a file of the county."""
        return self.folder / name

    @property
    def agreement(self) -> Agreement:
        """The agreement of the county."""
        return load_agreement(self.path("agreement.yaml"))

    def _role(self, who: str) -> list[str | Path]:
        log: list[str | Path] = ["--audit", self.path(f"{who}.audit"), *REASON]
        return ["--agreement", self.path("agreement.yaml"), "--key", self.path(f"{who}.key"), *log]

    def seal(self, agency: str, *words: str | Path, out: str | None = None) -> Result:
        """Seal an agency's extract into `out`.tally."""
        made = [f"{out or agency}.{kind}" for kind in ("tally", "crosswalk")]
        return run(
            *("seal", self.path("extracts") / f"{agency}.csv", *self._agency(agency), "--run", RUN),
            *("--out", self.path(made[0]), "--crosswalk", self.path(made[1]), *words),
            env=WORDS,
        )

    def in_contact(self, agency: str, last: date) -> list[str]:
        """Return the references of an agency with a row dated in the window that ends on `last`, read row by row."""
        extracts = self.path("extracts")
        mapping = load_mapping(extracts / "mapping.yaml")[agency]
        after, found = months_before(last, self.agreement.contact_months), []
        with (extracts / f"{agency}.csv").open(encoding="utf-8-sig", newline="") as stream:
            for row in csv.DictReader(stream):
                made = row[mapping.columns["record_date"]]
                days = [datetime.strptime(made, form).date() for form in mapping.dates["record_date"] if made]
                if days and after < days[0] <= last:
                    found.append(row[mapping.columns["ref"]])
        return list(dict.fromkeys(found))

    def link(self, *words: str | Path, out: str = "run") -> Result:
        """Link the packages of all agencies."""
        packages = [self.path(f"{agency}.tally") for agency in AGENCIES]
        return run("link", *packages, *self._role(UNIT), "--out", self.path(out), *words, env=WORDS)

    def open(self, package: Path, out: Path, *words: str | Path) -> Result:
        """Open a return of the police."""
        return run(
            *("open", package, "--extract", self.path("extracts") / "police.csv", *self._agency("police")),
            *("--crosswalk", self.path("police.crosswalk"), "--out", out, *words),
            env=WORDS,
        )

    def log(self, who: str) -> str:
        """Return an audit log as people read it."""
        return run("audit", "show", self.path(f"{who}.audit")).stdout

    def last_entry(self, who: str) -> str:
        """Return the last line of an audit log."""
        return self.path(f"{who}.audit").read_text(encoding="utf-8").splitlines()[-1]

    def grant(self, name: str, **changes: Any) -> Path:
        """Write an exception as `tallystick exception new` signs it; `changes` replace what it says."""
        values: dict[str, Any] = {
            "agreement": self.agreement,
            "rule": "P12",
            "concerns": "police",
            "role": ROLE["role"],
            "reason": "Counts follow on Monday",
            "starts_on": TODAY,
            "expires_on": TODAY + timedelta(days=7),
            "identity": self.identities["health"],
        }
        path = self.path(name)
        atomic_write(path, canonical_json(new_exception(**{**values, **changes})))
        return path

    def sign(self, name: str, signer: str, **changes: str) -> Path:
        """Write an exception that says anything, signed by anybody: what `exception new` would not make."""
        envelope = parse_json(self.grant(name).read_bytes())
        body = parse_canonical(parse_envelope(envelope).payload)
        assert isinstance(body, dict)
        payload = canonical_json({**body, **changes})
        atomic_write(
            self.path(name), canonical_json(sign_payload(PAYLOAD_TYPE, payload, [self.identities[signer]]))
        )
        return self.path(name)

    def forge_return(self, path: Path, **changes: Any) -> Path:
        """Write the return of the police again, as a unit would that went wrong, with its own good signature.

        Args:
            path: The file to write.
            changes: `rows` (a function of a row), `facts`, `counts` and `created_at` of the new one.
        """
        with open_package(
            self.path("run") / "returns" / "police.tally",
            recipient=self.identities["police"],
            known_senders={UNIT: self.identities[UNIT].public},
            expect=Expectation(kind="return"),
        ) as package:
            manifest = package.manifest
            table = pa.ipc.open_stream(package.part("contacts")).read_all()
        change: Callable[[dict[str, Any]], dict[str, Any]] = changes.get("rows", dict)
        rows = pa.Table.from_pylist([change(row) for row in table.to_pylist()], schema=RETURN)
        write_package(
            path,
            kind="return",
            sender=self.identities[UNIT],
            recipient=self.identities["police"].public,
            agreement_digest=manifest.agreement_digest,
            run_id=manifest.run_id,
            purpose=manifest.purpose,
            created_at=changes.get("created_at", manifest.created_at),
            counts={**manifest.counts, **changes.get("counts", {})},
            facts={**manifest.facts, **changes.get("facts", {})},
            parts=[("contacts", ARROW_STREAM, arrow_stream(RETURN, iter(rows.to_batches())))],
        )
        return path

    def _agency(self, agency: str) -> list[str | Path]:
        mapping: list[str | Path] = ["--mapping", self.path("extracts") / "mapping.yaml"]
        return [*self._role(agency), *mapping, "--secret", self.path(f"{agency}.secret")]


def _document(identities: dict[str, PrivateIdentity], outputs: Iterable[str] | None) -> dict[str, Any]:
    wishes = Wishes(
        template="county-safeguarding",
        parties={agency: agency for agency in AGENCIES},
        agreement_id="county",
        unit_id=UNIT,
    )
    public = {name: identity.public for name, identity in identities.items()}
    fill = rehearsal_fill(TODAY)
    document = without_todos(
        complete(draft_from_template(wishes, today=TODAY, identities=public), fill), fill
    )
    document = copy.deepcopy({**document, "status": "active"})
    document["exceptions"] = [{**ROLE, "longest_days": 30}]
    if outputs is not None:
        document["outputs"]["allowed"] = list(outputs)
    return document


def make_small_county(folder: Path, *, outputs: Iterable[str] | None = None) -> SmallCounty:
    """Make the county in `folder`; `outputs` are what returns may tell, those of the template when None."""
    identities = {name: PrivateIdentity.generate(name) for name in (*AGENCIES, UNIT)}
    document = _document(identities, outputs)
    agreement_file = folder / "agreement.yaml"
    agreement_file.write_text(agreement_yaml(document), encoding="utf-8")
    agreement = parse_agreement(read_document(agreement_file))
    for agency in AGENCIES:
        write_signature(agreement_file, agreement, identities[agency])
    words = WORDS["TALLYSTICK_PASSPHRASE"].encode()
    ceremony = Ceremony(
        agreement_digest=agreement.digest,
        epoch=1,
        parties=AGENCIES,
        starts_on=TODAY,
        expires_on=min(TODAY + timedelta(days=90), date.fromisoformat(document["in_force"]["to"])),
    )
    for name, identity in identities.items():
        save_identity(identity, folder / f"{name}.key", words, profile="tests-only")
        assert run("audit", "new", folder / f"{name}.audit", "--organisation", name).exit_code == 0
    for agency in AGENCIES:
        secret = LinkageSecret(ceremony=ceremony, value=bytes(range(32)))
        save_secret(secret, folder / f"{agency}.secret", words, "tests-only")
    assert run("synth", folder / "extracts", "--people", "400", "--seed", "3").exit_code == 0
    return SmallCounty(folder=folder, identities=identities)
