"""Signatures of an agreement: who signed exactly this, and every way of not having signed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from governance.agreement import Agreement, Party, load_agreement, parse_agreement
from governance.agreement_check import agreement_findings, require_agreement
from governance.agreement_signatures import (
    PAYLOAD_TYPE,
    read_signatures,
    sign_agreement,
    signatures_folder,
    write_signature,
)
from governance.draft import agreement_yaml
from schemas.canonical import canonical_json, from_base64, to_base64
from schemas.dsse import sign_payload
from schemas.errors import AgreementInvalid, ComplianceBlocked
from schemas.identity import PublicIdentity
from tests.governance.agreements import AGENCIES, TODAY, complete_document, identities


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A complete agreement that all three controllers have signed."""
    path = tmp_path / "agreement.yaml"
    document = complete_document()
    path.write_text(agreement_yaml(document), encoding="utf-8")
    agreement = parse_agreement(document)
    for name in AGENCIES:
        write_signature(path, agreement, identities()[name])
    return path


def signers(path: Path) -> frozenset[str]:
    """Who validly signed the file as it stands."""
    return read_signatures(signatures_folder(path), load_agreement(path)).signers


def test_all_signed(signed: Path) -> None:
    """Each controller's signature counts, and work may be done."""
    assert signers(signed) == frozenset(AGENCIES)
    assert require_agreement(signed, today=TODAY).id == "county"


def test_comments_and_layout_do_not_matter(signed: Path) -> None:
    """What is signed is the content: a comment, another order and other quotes change nothing."""
    text = signed.read_text(encoding="utf-8")
    signed.write_text("# a note\n" + text.replace("id: county", 'id:   "county"   # ours'), encoding="utf-8")
    assert signers(signed) == frozenset(AGENCIES)


def test_one_changed_word_undoes_all_signatures(signed: Path) -> None:
    """After a change nobody has signed; what they signed stays known as the earlier version."""
    text = signed.read_text(encoding="utf-8")
    signed.write_text(text.replace("months: 12", "months: 11"), encoding="utf-8")
    agreement = load_agreement(signed)
    found = read_signatures(signatures_folder(signed), agreement)
    assert found.signers == frozenset()
    assert [document["window"]["months"] for document in found.earlier] == [12]
    assert found.broken == {}
    with pytest.raises(ComplianceBlocked, match="3 blocks"):
        require_agreement(signed, today=TODAY)


def test_file_of_a_party_that_left_is_passed_over(signed: Path) -> None:
    """A signature over an earlier version by a party that is none any more neither counts nor blocks."""
    document = complete_document()
    document["version"] = "2.0.0"
    document["parties"] = [party for party in document["parties"] if party["id"] != "health"]
    signed.write_text(agreement_yaml(document), encoding="utf-8")
    agreement = parse_agreement(document)
    for name in ("police", "childrens_social_care"):
        write_signature(signed, agreement, identities()[name])
    assert (signatures_folder(signed) / "health.dsse.json").exists()
    assert agreement_findings(signed, today=TODAY)[1] == []


def test_missing_signature_blocks(signed: Path) -> None:
    """Two of three are not all."""
    (signatures_folder(signed) / "health.dsse.json").unlink()
    with pytest.raises(ComplianceBlocked, match="health has not signed"):
        require_agreement(signed, today=TODAY)


def test_strangers_and_the_linkage_unit_do_not_count(signed: Path) -> None:
    """A signature by a key that no party holds proves nothing and is named; nor can such a key sign."""
    agreement = load_agreement(signed)
    stranger = identities()["stranger"]
    body = canonical_json(agreement.document)
    envelope = sign_payload(PAYLOAD_TYPE, body, [stranger, identities()["linkage-unit"]])
    path = signatures_folder(signed) / "police.dsse.json"
    path.write_text(json.dumps(envelope), encoding="utf-8")
    found = read_signatures(path.parent, agreement)
    assert found.signers == {"health", "childrens_social_care"}
    assert found.broken == {"police.dsse.json": "holds no valid signature of a party's key"}
    for name in ("stranger", "linkage-unit"):
        with pytest.raises(AgreementInvalid, match="no party"):
            sign_agreement(agreement, identities()[name])


def test_file_names_prove_nothing(signed: Path) -> None:
    """One signature under three names is one signature."""
    folder = signatures_folder(signed)
    for name in ("health", "childrens_social_care"):
        shutil.copy(folder / "police.dsse.json", folder / f"{name}.dsse.json")
    assert signers(signed) == {"police"}


def test_same_key_under_two_ids_counts_once(signed: Path) -> None:
    """When two parties list one key, its signature stands for one of them, whoever reads the document."""
    document = complete_document()
    agreement = parse_agreement(document)
    police = agreement.party("police")
    assert police is not None
    assert police.keys is not None
    twin = PublicIdentity(
        party="health", signing_key=police.keys.signing_key, receiving_key=police.keys.receiving_key
    )
    parties = tuple(
        Party(id=p.id, agency_type=p.agency_type, name=p.name, keys=twin if p.id == "health" else p.keys)
        for p in agreement.parties
    )
    shared = Agreement(
        **{name: getattr(agreement, name) for name in Agreement.__slots__ if name != "parties"},
        parties=parties,
    )
    envelope = sign_payload(PAYLOAD_TYPE, canonical_json(document), [identities()["police"]])
    (signatures_folder(signed) / "x.dsse.json").write_text(json.dumps(envelope), encoding="utf-8")
    for name in ("police", "health"):
        (signatures_folder(signed) / f"{name}.dsse.json").unlink()
    found = read_signatures(signatures_folder(signed), shared)
    assert len(found.signers & {"police", "health"}) == 1


def _flip(text: str) -> str:
    data = bytearray(from_base64(text))
    data[5] ^= 1
    return to_base64(bytes(data))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no signature of an agreement"),
        (b"{}", "no signature of an agreement"),
        (b"\xff\xfe", "no signature of an agreement"),
        (b'{"payloadType": "x", "payload": "", "signatures": []}', "no signature of an agreement"),
    ],
)
def test_broken_files_are_named_and_block(signed: Path, content: bytes, reason: str) -> None:
    """A file that is no signature is named, and blocks until it is taken out."""
    (signatures_folder(signed) / "junk.dsse.json").write_bytes(content)
    found = read_signatures(signatures_folder(signed), load_agreement(signed))
    assert reason in found.broken["junk.dsse.json"]
    _, findings = agreement_findings(signed, today=TODAY)
    assert [finding.rule for finding in findings] == ["D03"]


def test_forged_signature_does_not_count(signed: Path) -> None:
    """One flipped bit of a signature, or of what it is over, and it proves nothing."""
    path = signatures_folder(signed) / "police.dsse.json"
    good = json.loads(path.read_text())
    for forged in (
        {**good, "signatures": [{**good["signatures"][0], "sig": _flip(good["signatures"][0]["sig"])}]},
        {**good, "payload": _flip(good["payload"])},
    ):
        path.write_text(json.dumps(forged), encoding="utf-8")
        assert signers(signed) == {"health", "childrens_social_care"}


def test_signature_over_another_type_does_not_count(signed: Path) -> None:
    """A key's signature over the same bytes as another type of document is none of an agreement."""
    agreement = load_agreement(signed)
    envelope = sign_payload("text/plain", canonical_json(agreement.document), [identities()["police"]])
    (signatures_folder(signed) / "police.dsse.json").write_text(json.dumps(envelope), encoding="utf-8")
    assert "police" not in signers(signed)


def test_other_keys_than_those_in_the_agreement_cannot_sign(signed: Path) -> None:
    """A party signs with the keys that the agreement holds of it."""
    agreement = load_agreement(signed)
    from schemas.identity import PrivateIdentity

    with pytest.raises(AgreementInvalid, match="other keys of police"):
        sign_agreement(agreement, PrivateIdentity.generate("police"))
