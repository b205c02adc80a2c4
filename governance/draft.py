"""Draft an agreement: a complete, valid document for people to adapt and sign."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from schemas.identity import PublicIdentity

DEFAULT_PASSES: tuple[str, ...] = (
    "nhs_number",
    "dob+forename.canonical+surname.canonical",
    "dob+forename.phonetic+surname.first3",
    "dob+forename.first3+surname.phonetic",
    "dob+name_set",
    "dob+surname.canonical+sex",
    "dob+forename.canonical+sex",
    "dob+forename.initial+postcode",
    "dob+postcode+sex",
    "dob+forename.last3+surname.last3",
    "dob.swap+forename.canonical+surname.canonical",
    "dob.month_year+forename.canonical+surname.canonical",
    "dob.day_year+forename.canonical+surname.canonical",
    "dob.day_month+forename.canonical+surname.canonical",
    "dob.month_year+forename.initial+surname.canonical+postcode.district",
    "dob.day_month+forename.first3+postcode",
    "dob.day_year+uprn+sex",
    "dob.year+name_set+postcode.district",
    "dob.year+forename.phonetic+address.number_street",
    "name_set+postcode",
    "forename.canonical+surname.canonical+address.number_street",
    "forename.phonetic+surname.last3+uprn",
    "forename.first3+surname.first3+postcode",
)
"""Strong passes that suit most extracts of a Family Help Team area (up to 300,000 people). A plan made for the
agencies' own data is better; `tallystick rehearse` makes one."""

_NECESSITY = {
    "ref": "So that an agency finds its own record again; it never leaves the agency in the clear.",
    "forename": "To tell members of one household apart.",
    "surname": "To find the same person across agencies.",
    "dob": "To find the same person across agencies; the strongest identifier that every agency holds.",
    "sex": "To tell people with similar names apart.",
    "postcode": "To find people whose names or dates were recorded differently.",
    "uprn": "To find people at one address when names were recorded differently.",
    "nhs_number": "The most reliable identifier, where an agency lawfully holds it.",
    "address": "To find people at one address where no UPRN is held.",
    "record_date": "To find contacts inside the agreed window.",
    "case_status": "To say whether a case is open.",
    "lead_contact": "So that practitioners know whom to ring.",
}
_USE = {
    "ref": "reference",
    "record_date": "filter",
    "case_status": "display",
    "lead_contact": "display",
}


def _field(name: str, standards: Mapping[str, str]) -> dict[str, str]:
    entry = {"name": name, "use": _USE.get(name, "match"), "necessity": _NECESSITY[name]}
    if name in standards:
        entry["standard"] = standards[name]
    return entry


def with_keys(entry: Mapping[str, Any], keys: PublicIdentity | None) -> dict[str, Any]:
    """Return a party's entry with these public keys in place of any others, or as it is when there are none."""
    entry = dict(entry)
    if keys is not None:
        entry["keys"] = {name: text for name, text in keys.to_dict().items() if name != "party"}
    return entry


def draft_agreement(
    *,
    parties: Mapping[str, str],
    passes: Sequence[str],
    today: date,
    standards: Mapping[str, str] | None = None,
    identities: Mapping[str, PublicIdentity] | None = None,
    agreement_id: str = "draft-agreement",
    unit_id: str = "linkage-unit",
    months: int = 12,
    budget: float = 0.2,
    everyone: bool = False,
) -> dict[str, Any]:
    """Return a draft agreement document between `parties`.

    Args:
        parties: Party id -> agency type.
        passes: Names of the blocking passes.
        today: First day in force.
        standards: Field -> standard, where it is not the UK one.
        identities: Public keys by party id (and the unit's), when they are known.
        agreement_id: Identifier of the agreement.
        unit_id: Identifier of the linkage unit.
        months: Length of the window.
        everyone: Whether people without a contact in the window are sealed too.
        budget: Privacy budget d: unrelated records that a record may be expected to meet in all passes.
    """
    keys = identities or {}
    return {
        "agreement_schema": 1,
        "id": agreement_id,
        "title": "Draft data-sharing agreement for multi-agency safeguarding",
        "version": "0.1.0",
        "status": "draft",
        "in_force": {"from": today.isoformat(), "to": (today + timedelta(days=365)).isoformat()},
        "review_due": (today + timedelta(days=180)).isoformat(),
        "jurisdiction": "England",
        "purposes": [
            {
                "id": "safeguarding",
                "kind": "individual_safeguarding",
                "plain_english": "Tell each agency which of the people it already works with are also in contact "
                "with other agencies, how often, when, whether a case is open, and whom to ring.",
                "prohibited_uses": [
                    "Scoring or ranking people",
                    "Decisions without a person",
                    "Immigration enforcement",
                ],
            }
        ],
        "parties": [
            with_keys({"id": name, "agency_type": kind, "role": "controller"}, keys.get(name))
            for name, kind in parties.items()
        ],
        "linkage_unit": with_keys({"id": unit_id}, keys.get(unit_id)),
        "fields": [_field(name, standards or {}) for name in _NECESSITY],
        "window": {"months": months, "minimum_agencies": 2, "everyone": everyone},
        "outputs": {
            "allowed": ["agencies", "contact_count", "first_date", "last_date", "open_case", "lead_contact"]
        },
        "sealing": {
            "scheme": "block-sealed-v1",
            "budget": {"d": budget, "lambda": min(0.05, budget / 2)},
            "crowded_cell": 20,
            "passes": list(passes),
        },
        "matching": {"threshold": 0.5, "review_from": 0.1, "largest_cluster": 50},
        "retention": [
            {"artefact": "package", "days": 30},
            {"artefact": "run", "days": 30},
            {"artefact": "return", "days": 30},
            {"artefact": "crosswalk", "days": 30},
            {"artefact": "result", "days": 365},
            {"artefact": "log", "days": 2190},
        ],
    }


def keys_yaml(identity: PublicIdentity) -> str:
    """Return the public keys of a party as they stand in its entry of an agreement."""
    yaml = YAML()
    yaml.width = 5000
    stream = io.StringIO()
    shown = {name: text for name, text in identity.to_dict().items() if name != "party"}
    yaml.dump({"keys": shown}, stream)
    return stream.getvalue()


_COMMENTS = {
    "status": "draft, active, suspended or terminated. A draft binds nobody.",
    "purposes": "Why the data is shared, in words that the people concerned would understand.",
    "parties": "Who takes part, on what lawful basis (legal), and whom to ask (contacts).",
    "linkage_unit": "Who links the sealed records; it never holds the linkage secret.",
    "dpia": "The data protection impact assessment. Also enter: approved (date), review_due (date).",
    "fields": "The closed list of what is used. use: match, display, filter or reference.",
    "window": "Contacts of how many months count, from how many agencies on a person is reported, and whether people "
    "without a contact in that time are sealed too (everyone).",
    "outputs": "What an agency may be told, and the smallest count of people that may leave.",
    "sealing": "On which combinations of identifiers records may meet, under which privacy budget.",
    "matching": "From which probability two records are one person, or are for a person to look at.",
    "exclusions": "Who is left out at the agency before sealing; each agency attests how many.",
    "exceptions": "Which role of which party may sign exceptions to which rules.",
    "retention": "How long each artefact is kept, in days.",
    "rights": "How people use their rights.",
}
"""Section -> what stands above it in a drafted file."""


def agreement_yaml(document: Mapping[str, Any]) -> str:
    """Return `document` as YAML with a note on top of what it is, and a line above each section."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 5000  # a folded key would be hard to compare by eye
    stream = io.StringIO()
    noted = CommentedMap(document)
    for section in _COMMENTS.keys() & document.keys():
        noted.yaml_set_comment_before_after_key(section, before=_COMMENTS[section])
    yaml.dump(noted, stream)
    head = (
        "# A data-sharing agreement as Tallystick reads it. Drafted by the program: adapt it with your\n"
        "# data protection officers before anyone signs it. It is no legal advice.\n"
    )
    return head + stream.getvalue()
