"""DSSE envelopes: who really signed, and never twice with one key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.canonical import JSON
from schemas.dsse import countersign, pae, parse_envelope, sign_payload, verify_payload
from schemas.errors import BadSignature, EnvelopeInvalid
from schemas.identity import PrivateIdentity

People = dict[str, PrivateIdentity]
TYPE = "application/vnd.tallystick.test+json"


def test_pae_of_the_specification() -> None:
    """The example of the DSSE protocol document, section "Signature definition"."""
    assert (
        pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_all_signers_count(people: People) -> None:
    """Each party that signed is returned, whether they signed together or one after another."""
    known = {name: people[name].public for name in ("police", "health", "unit")}
    together = sign_payload(TYPE, b"{}", [people["police"], people["health"]])
    in_turn = countersign(sign_payload(TYPE, b"{}", [people["police"]]), [people["health"], people["police"]])
    assert together == in_turn
    assert verify_payload(together, known, payload_type=TYPE, body=b"{}") == {"police", "health"}


def test_one_key_under_two_ids_counts_once(people: People) -> None:
    """A party that lists another's key, or signs twice, adds nothing to a quorum."""
    police = people["police"].public
    known = {"police": police, "fire": replace(police, party="fire"), "health": people["health"].public}
    envelope = sign_payload(TYPE, b"{}", [people["police"], people["police"]])
    assert verify_payload(envelope, known) == {"fire"}


def test_signatures_that_do_not_count(people: People) -> None:
    """Strangers, wrong key ids, and signatures over another type or other bytes do not count."""
    known = {name: people[name].public for name in ("police", "health")}
    envelope = sign_payload(TYPE, b"{}", [people["stranger"], people["police"]])
    assert verify_payload(envelope, known) == {"police"}
    swapped = {**envelope, "payloadType": "application/other"}
    assert verify_payload(swapped, known) == set()
    other_bytes = {**envelope, "payload": "e30K"}
    assert verify_payload(other_bytes, known) == set()
    signature = sign_payload(TYPE, b"{}", [people["police"]])["signatures"][0]["sig"]  # type: ignore[index, call-overload]
    claimed: dict[str, JSON] = {
        **envelope,
        "signatures": [{"keyid": people["health"].public.signing_key_id, "sig": signature}],
    }
    assert verify_payload(claimed, known) == set()


def test_detached_bytes_and_type(people: People) -> None:
    """The bytes and the type that the caller holds have to be those that were signed."""
    known = {"police": people["police"].public}
    envelope = sign_payload(TYPE, b"{}", [people["police"]])
    with pytest.raises(BadSignature):
        verify_payload(envelope, known, body=b"{} ")
    with pytest.raises(EnvelopeInvalid):
        verify_payload(envelope, known, payload_type="application/other")


@pytest.mark.parametrize(
    "change",
    [
        {"payload": 1},
        {"payload": "not base64"},
        {"payload": "e31="},
        {"payloadType": None},
        {"signatures": {}},
        {"signatures": [{"keyid": "a"}]},
        {"signatures": [{"keyid": 1, "sig": ""}]},
        {"signatures": [{"keyid": "a", "sig": "!"}]},
        {"signatures": [{"keyid": "a", "sig": ""}] * 65},
        {"extra": 1},
    ],
)
def test_malformed(people: People, change: dict[str, JSON]) -> None:
    """An envelope with a missing, extra or mistyped field is refused."""
    with pytest.raises(EnvelopeInvalid):
        parse_envelope({**sign_payload(TYPE, b"{}", [people["police"]]), **change})
