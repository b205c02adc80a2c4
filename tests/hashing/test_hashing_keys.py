"""Keys of a run, recomputed from the specification with nothing but hashlib."""

from __future__ import annotations

import hashlib
import hmac
from itertools import combinations

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from hashing.cmac import as_blocks
from hashing.keys import RunKeys
from schemas.labels import encode
from schemas.scheme import DERIVED, parse_pass

SECRET = bytes(range(32))
LABEL = "tallystick/block-sealed/v1/"


def plain_hmac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 from its definition (RFC 2104)."""
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in key) + inner).digest()


def plain_expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand from its definition (RFC 5869, section 2.3)."""
    made, block = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = plain_hmac(prk, block + info + bytes([counter]))
        made += block
    return made[:length]


def plain_hkdf(key: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF from its definition (RFC 5869, section 2)."""
    return plain_expand(plain_hmac(salt or bytes(32), key), info, length)


def plain_cmac(key: bytes, message: bytes) -> bytes:
    """AES-CMAC by the cryptography package."""
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return mac.finalize()


def info(label: str, *parts: str) -> bytes:
    """Number of items, then label and parts, each after its length; lengths have eight bytes."""
    items = [(LABEL + label).encode("ascii"), *(part.encode() for part in parts)]
    return len(items).to_bytes(8, "big") + b"".join(len(item).to_bytes(8, "big") + item for item in items)


def run_key(secret: bytes, agreement: str, run: str) -> bytes:
    """The key of a run, as the specification has it."""
    return plain_hkdf(secret, b"", info("run", agreement, run), 32)


def keys_of(*, secret: bytes = SECRET, agreement: str = "sha256:aa", run: str = "2026-06") -> RunKeys:
    """Keys of an invented run."""
    return RunKeys(secret=secret, agreement_digest=agreement, run_id=run)


RFC_4231 = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
]


@pytest.mark.parametrize(("key", "message", "expected"), RFC_4231)
def test_hmac_examples(key: bytes, message: bytes, expected: str) -> None:
    """RFC 4231, cases 1, 2, 3 and 6: both the primitive as used and the one written out here."""
    assert hmac.digest(key, message, "sha256").hex() == expected
    assert plain_hmac(key, message).hex() == expected


RFC_5869 = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        "0b" * 22,
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


@pytest.mark.parametrize(("key", "salt", "info", "expected"), RFC_5869)
def test_hkdf_examples(key: str, salt: str, info: str, expected: str) -> None:
    """RFC 5869, cases 1 and 3 (no salt, as in a run key): the one written out here, which the next tests rely on."""
    assert plain_hkdf(*map(bytes.fromhex, (key, salt, info)), 42).hex() == expected


@given(
    secret=st.binary(min_size=32, max_size=32),
    agreement=st.text(max_size=80),
    run=st.text(max_size=20),
    name=st.sampled_from(sorted(DERIVED)),
    values=st.lists(st.text(max_size=40), max_size=5),
)
def test_digests_follow_the_specification(
    secret: bytes, agreement: str, run: str, name: str, values: list[str]
) -> None:
    """V_f(x) is the CMAC of x under the key of agreement, run and derived value, or of the one it is compared with."""
    key = plain_expand(run_key(secret, agreement, run), info("field", DERIVED[name].like or name), 32)
    found = RunKeys(secret=secret, agreement_digest=agreement, run_id=run).digests(
        name, pa.array(values, pa.string())
    )
    assert found.shape == (len(values), 2)
    assert found.tobytes() == b"".join(plain_cmac(key, value.encode()) for value in values)


@pytest.mark.parametrize(
    ("method", "label"),
    [("block_secret", "block"), ("block_id", "block-id"), ("comparison", "comparison")],
)
def test_pass_keys_follow_the_specification(method: str, label: str) -> None:
    """The CMAC keys of a pass derive from the run key, a label and the name of the pass."""
    blocking = parse_pass("dob+surname.phonetic")
    key = plain_expand(run_key(SECRET, "sha256:aa", "2026-06"), info(label, blocking.name), 32)
    message = bytes(range(16))
    expected = CMAC(algorithms.AES(key))
    expected.update(message)
    assert getattr(keys_of(), method)(blocking).mac([as_blocks(message)]).tobytes() == expected.finalize()


def test_other_keys_follow_the_specification() -> None:
    """Key check and display key derive from the run key under labels of their own."""
    key = run_key(SECRET, "sha256:aa", "2026-06")
    assert keys_of().key_check() == plain_expand(key, info("key-check"), 16).hex()
    assert keys_of().display_key() == plain_expand(key, info("display"), 32)


def _everything(keys: RunKeys) -> dict[str, bytes]:
    message = as_blocks(bytes(16))
    made = {
        f"digest {name}": keys.digests(name, pa.array(["SMITH"])).tobytes()
        for name, value in DERIVED.items()
        if not value.like
    }
    for text in ("dob+surname", "dob+forename", "surname+dob"):
        blocking = parse_pass(text)
        for method in ("block_secret", "block_id", "comparison"):
            made[f"{method} {text}"] = getattr(keys, method)(blocking).mac([message]).tobytes()
    made |= {f"name set {n}": cmac.mac([message]).tobytes() for n, cmac in enumerate(keys.name_set())}
    made["check"] = bytes.fromhex(keys.key_check())
    made["display"] = keys.display_key()[:16]
    return made


def test_nothing_is_shared() -> None:
    """Another secret, agreement, run, derived value, pass or use: no two keys or digests are the same."""
    variants = [
        keys_of(),
        keys_of(secret=bytes(32)),
        keys_of(agreement="sha256:ab"),
        keys_of(run="2026-07"),
        keys_of(agreement="sha256:aa2", run="026-06"),
    ]
    made = [value for keys in variants for value in _everything(keys).values()]
    assert len(set(made)) == len(made)


def test_only_values_that_are_compared_with_each_other_share_a_key() -> None:
    """A second forename and a first one that are the same name have the same digest; no other two values do."""
    sharing = [(name, value.like) for name, value in DERIVED.items() if value.like]
    assert sharing == [("forename.second", "forename.exact")]
    one, other = (keys_of().digests(name, pa.array(["PETER"])).tobytes() for name in sharing[0])
    assert one == other


def test_key_check_tells_secrets_agreements_and_runs_apart() -> None:
    """Equal for the same three, and different when any one differs."""
    assert keys_of().key_check() == keys_of().key_check()
    others = [keys_of(), keys_of(secret=bytes(32)), keys_of(agreement="sha256:ab"), keys_of(run="2026-07")]
    assert all(a.key_check() != b.key_check() for a, b in combinations(others, 2))
    assert len(bytes.fromhex(keys_of().key_check())) == 16


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_encoding_is_unambiguous(left: list[bytes], right: list[bytes]) -> None:
    """Two different lists of parts never give the same bytes."""
    assert (encode("x", *left) == encode("x", *right)) == (left == right)


def test_keys_are_not_shown() -> None:
    """The representation holds no key."""
    assert repr(keys_of()) == "RunKeys(keys hidden)"
