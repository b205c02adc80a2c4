"""An agreement in the terms of the Data Privacy Vocabulary, as JSON-LD, for interchange with other registers.

Source: W3C Data Privacy Vocabularies and Controls Community Group, DPV 2 (w3id.org/dpv) with its extensions for
personal data (pd) and the EU GDPR (eu-gdpr). Where DPV has no term for a UK provision, the nearest is named and the
provision itself stands in words. Every term used here was found in the term lists of DPV 2.0, 2.2 and 2.3.
"""

from __future__ import annotations

from typing import Any

from governance.agreement import Agreement

FIELD_TERMS = {
    "ref": "pd:Identifier",
    "forename": "pd:Name",
    "surname": "pd:Name",
    "dob": "pd:BirthDate",
    "sex": "pd:Gender",
    "postcode": "pd:PostalCode",
    "uprn": "pd:PhysicalAddress",
    "nhs_number": "pd:OfficialID",
    "address": "pd:PhysicalAddress",
    "record_date": "dpv:PersonalData",
    "contact_type": "dpv:PersonalData",
    "case_status": "dpv:PersonalData",
    "lead_contact": "pd:Contact",
}
"""Field -> the nearest DPV class of personal data."""

_SUBJECT_TERMS = {
    "children": "dpv:Child",
    "adults": "dpv:Adult",
    "adults_at_risk": "dpv:VulnerableDataSubject",
}
_ROLE_TERMS = {
    "controller": "dpv:DataController",
    "joint_controller": "dpv:JointDataControllers",
    "processor": "dpv:DataProcessor",
}
_CONTEXT = {
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
}


def _basis(text: str) -> str:
    """Return the term of `6(1)(e)` or `9(2)(g)`: `eu-gdpr:A6-1-e`, `eu-gdpr:A9-2-g`."""
    return "eu-gdpr:A" + text.replace(")(", "-").replace("(", "-").rstrip(")")


_WITHOUT_TERM = {"6(1)(ea)"}
"""Added by the Data (Use and Access) Act 2025; the EU GDPR has no such point."""


def _legal_bases(party: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for entry in party.get("legal", ()):
        named = [entry[name] for name in ("article_6", "article_9") if name in entry]
        said = [*named, *(entry[name] for name in ("part_3_basis", "dpa_condition") if name in entry)]
        terms = [_basis(text) for text in named if text not in _WITHOUT_TERM]
        found.append(
            {
                "@type": ["dpv:LegalBasis", *terms],
                "dct:description": ", ".join([*said, *entry.get("gateways", ())]),
                "dct:relation": f"purpose-{entry['purpose']}",
            }
        )
    return found


def _party(party: dict[str, Any]) -> dict[str, Any]:
    return {
        "@id": f"_:{party['id']}",
        "@type": _ROLE_TERMS[party["role"]],
        "dct:title": party.get("name", party["id"]),
        "dpv:hasLegalBasis": _legal_bases(party),
    }


def _field(entry: dict[str, Any]) -> dict[str, Any]:
    kinds = [FIELD_TERMS[entry["name"]]]
    if entry.get("special_category"):
        kinds.append("dpv:SpecialCategoryPersonalData")
    return {
        "@id": f"_:field-{entry['name']}",
        "@type": kinds,
        "dct:title": entry["name"],
        "dct:description": entry.get("necessity", ""),
    }


def _purpose(purpose: dict[str, Any]) -> dict[str, Any]:
    return {
        "@id": f"_:purpose-{purpose['id']}",
        "@type": "dpv:Purpose",
        "dct:title": purpose["id"],
        "dct:description": purpose["plain_english"],
    }


def dpv_annex(agreement: Agreement) -> dict[str, Any]:
    """Return the agreement's annex as a JSON-LD document; it adds nothing to what was signed."""
    document = agreement.document
    kinds = {kind for purpose in document["purposes"] for kind in purpose.get("subjects", ())}
    return {
        "@context": _CONTEXT,
        "@id": f"urn:{agreement.digest}",
        "@type": "dpv:Process",
        "dct:title": document.get("title", agreement.id),
        "dct:hasVersion": agreement.version,
        "dpv:hasPurpose": [_purpose(purpose) for purpose in document["purposes"]],
        "dpv:hasPersonalData": [_field(entry) for entry in document["fields"]],
        "dpv:hasDataSubject": [
            {"@type": _SUBJECT_TERMS.get(kind, "dpv:DataSubject"), "dct:title": kind}
            for kind in sorted(kinds)
        ],
        "dpv:hasEntity": [
            *(_party(party) for party in document["parties"]),
            {"@id": f"_:{agreement.unit_id}", "@type": "dpv:DataProcessor", "dct:title": agreement.unit_id},
        ],
        "dpv:hasTechnicalMeasure": [{"@type": "dpv:Pseudonymisation"}, {"@type": "dpv:Encryption"}],
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageDuration", "dct:title": name, "dct:description": f"{kept.days} days"}
            for name, kept in agreement.retention.items()
        ],
    }
