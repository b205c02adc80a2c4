"""Identities: fingerprints, key files, and keys that do not leak."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import stat
from dataclasses import replace
from pathlib import Path

import generate
import pytest
from package_forge import FOLDER

from schemas.errors import BadSignature, IdentityError, KeyFileInvalid, WrongPassphrase, WrongRecipient
from schemas.identity import PrivateIdentity, PublicIdentity, load_identity, load_public, save_identity
from schemas.keyfile import PROFILES

People = dict[str, PrivateIdentity]
PASS = b"correct horse"


@pytest.fixture
def key_file(tmp_path: Path, people: People) -> Path:
    """Police's identity in a key file."""
    path = tmp_path / "police.key"
    save_identity(people["police"], path, PASS, profile="tests-only")
    return path


def test_saved_identity_comes_back(key_file: Path, people: People) -> None:
    """A loaded identity signs and opens as the saved one did."""
    loaded = load_identity(key_file, PASS)
    assert loaded.public == people["police"].public
    people["police"].public.verify(loaded.sign(b"message"), b"message")
    assert loaded.open_sealed(people["police"].public.seal_to(b"note", info=b"x"), info=b"x") == b"note"


def test_key_file_is_private(key_file: Path, people: People) -> None:
    """Only the owner can read a key file, and no private key stands in it in the clear."""
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    raw = people["police"]._secret_bytes()
    content = key_file.read_bytes()
    for at in (0, 32, 96):
        piece = raw[at : at + 30]  # 30 bytes are 40 characters of base64, whatever follows them
        assert piece not in content
        assert base64.b64encode(piece) not in content


def test_known_key_file(people: People) -> None:
    """The key file beside the vectors opens, and is made again to the byte from the same salt and nonce."""
    path = FOLDER / "police.key"
    assert load_identity(path, PASS).public == people["police"].public
    assert generate.key_file(people) == path.read_bytes()


@pytest.mark.parametrize("passphrase", [b"wrong", b"", None])
def test_wrong_passphrase(key_file: Path, passphrase: bytes | None) -> None:
    """Another passphrase, or none, opens nothing."""
    with pytest.raises(WrongPassphrase):
        load_identity(key_file, passphrase)


@pytest.mark.parametrize("field", ["salt", "nonce", "secret", "public", "profile"])
def test_altered_key_file(key_file: Path, people: People, field: str) -> None:
    """Every field is authenticated: the public half of another party cannot be put beside this secret."""
    content = json.loads(key_file.read_text())
    content[field] = {
        "salt": "AAAAAAAAAAAAAAAAAAAAAA==",
        "nonce": "AAAAAAAAAAAAAAAA",
        "secret": "AAAA",
        "public": people["stranger"].public.to_dict(),
        "profile": "interactive",
    }[field]
    key_file.write_text(json.dumps(content))
    with pytest.raises(WrongPassphrase):
        load_identity(key_file, PASS)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 2},
        {"holds": "linkage-secret"},
        {"profile": "unknown"},
        {"salt": "!"},
        {"nonce": "AAAA"},
        {"extra": 1},
        {"public": 3},
    ],
)
def test_not_a_key_file(key_file: Path, change: dict[str, object]) -> None:
    """Another format, version, kind, profile or field is refused before the passphrase is tried."""
    key_file.write_text(json.dumps({**json.loads(key_file.read_text()), **change}))
    with pytest.raises(KeyFileInvalid):
        load_identity(key_file, PASS)


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"[]", b"{" * 70_000])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    """A file that is no key file, or too large for one, is refused."""
    path = tmp_path / "some.key"
    path.write_bytes(content)
    with pytest.raises(KeyFileInvalid):
        load_identity(path, PASS)
    with pytest.raises(KeyFileInvalid):
        load_identity(tmp_path / "absent.key", PASS)


def test_public_half_without_passphrase(key_file: Path, people: People) -> None:
    """`keys show` needs no passphrase."""
    assert load_public(key_file) == people["police"].public


def test_unprotected_is_explicit(tmp_path: Path, people: People) -> None:
    """Without a passphrase nothing is written unless the caller says so in words."""
    path = tmp_path / "plain.key"
    for passphrase in (None, b""):
        with pytest.raises(IdentityError):
            save_identity(people["police"], path, passphrase)
    assert not path.exists()
    with pytest.raises(IdentityError):
        save_identity(people["police"], path, PASS, unprotected=True)
    save_identity(people["police"], path, None, unprotected=True)
    assert load_identity(path, None).public == people["police"].public


def test_forged_unprotected_halves(tmp_path: Path, people: People) -> None:
    """In an unprotected file the public half still has to belong to the private half."""
    path = tmp_path / "plain.key"
    save_identity(people["police"], path, None, unprotected=True)
    content = json.loads(path.read_text())
    content["public"] = people["stranger"].public.to_dict()
    path.write_text(json.dumps(content))
    with pytest.raises(KeyFileInvalid):
        load_identity(path, None)


def test_unknown_profile(tmp_path: Path, people: People) -> None:
    """Only named profiles can be asked for."""
    with pytest.raises(IdentityError):
        save_identity(people["police"], tmp_path / "a.key", PASS, profile="fast")


def test_profiles_have_their_source() -> None:
    """The profiles are those of RFC 9106, section 4: 2 GiB in one pass, 64 MiB in three, four lanes."""
    assert (PROFILES["high-memory"].iterations, PROFILES["high-memory"].memory_kib) == (1, 2**21)
    assert (PROFILES["interactive"].iterations, PROFILES["interactive"].memory_kib) == (3, 2**16)
    assert PROFILES["high-memory"].lanes == PROFILES["interactive"].lanes == 4


def test_secrets_do_not_print_or_pickle(people: People) -> None:
    """A private identity shows no key, is not pickled and not copied."""
    identity = people["police"]
    assert repr(identity) == "PrivateIdentity(party='police', keys hidden)"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(identity)


def test_fingerprint(people: People) -> None:
    """A fingerprint is eight groups of five digits and changes with party and with either key."""
    public, other = people["police"].public, people["health"].public
    groups = public.fingerprint.split(" ")
    assert len(groups) == 8
    assert all(len(group) == 5 and group.isdigit() for group in groups)
    changed = {
        replace(public, party="fire").fingerprint,
        replace(public, signing_key=other.signing_key).fingerprint,
        replace(public, receiving_key=other.receiving_key).fingerprint,
    }
    assert len(changed | {public.fingerprint}) == 4


def test_public_json(people: People) -> None:
    """The JSON form comes back as the same identity."""
    public = people["police"].public
    assert PublicIdentity.from_dict(json.loads(json.dumps(public.to_dict()))) == public


@pytest.mark.parametrize(
    "change",
    [
        {"party": "Police"},
        {"party": ""},
        {"party": 3},
        {"signing_key": "AAAA"},
        {"signing_key": "?"},
        {"receiving_key": "AAAA"},
        {"receiving_key": None},
        {"extra": "x"},
    ],
)
def test_malformed_public_json(people: People, change: dict[str, object]) -> None:
    """A key of the wrong length, a party id that is none, or an extra field is refused."""
    with pytest.raises(IdentityError):
        PublicIdentity.from_dict({**people["police"].public.to_dict(), **change})  # type: ignore[arg-type]


def test_sealed_message_is_bound(people: People) -> None:
    """A sealed message opens for its recipient with its info, unaltered, and not otherwise."""
    sealed = people["unit"].public.seal_to(b"secret", info=b"one")
    assert people["unit"].open_sealed(sealed, info=b"one") == b"secret"
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for who, what, info in (("police", sealed, b"one"), ("unit", sealed, b"two"), ("unit", altered, b"one")):
        with pytest.raises(WrongRecipient):
            people[who].open_sealed(what, info=info)
    with pytest.raises(WrongRecipient):
        people["unit"].open_sealed(b"", info=b"one")


def test_bad_signature(people: People) -> None:
    """A signature of another key, over other bytes or of another length is refused."""
    signature = people["police"].sign(b"message")
    public = people["police"].public
    for value, message in (
        (signature, b"massage"),
        (signature[:-1], b"message"),
        (people["health"].sign(b"message"), b"message"),
    ):
        with pytest.raises(BadSignature):
            public.verify(value, message)


def test_wrong_raw_lengths() -> None:
    """Raw private keys of the wrong length are refused in the project's own words."""
    with pytest.raises(IdentityError):
        PrivateIdentity(party="police", signing_seed=b"", mlkem_seed=b"", x25519_key=b"")
