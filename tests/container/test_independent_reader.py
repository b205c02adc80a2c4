"""A second reader, written from docs/spec/package-v1.md alone: it imports nothing of the project.

It does HPKE by hand (RFC 9180, base mode, with the KEM 0x647a), so it also shows that the library the project
uses does what the specification says.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

FOLDER = Path(__file__).parents[1] / "vectors" / "package"
KEYS: dict[str, Any] = json.loads((FOLDER / "keys.json").read_text())["identities"]
SUITE = b"HPKE" + bytes.fromhex("647a00010002")


def encode(*items: bytes) -> bytes:
    """Section 2: the number of items, then each after its length."""
    return len(items).to_bytes(8, "big") + b"".join(len(item).to_bytes(8, "big") + item for item in items)


def hkdf_extract(salt: bytes, material: bytes) -> bytes:
    """RFC 5869, section 2.2."""
    return hmac.digest(salt or bytes(32), material, "sha256")


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, section 2.3."""
    output, block = b"", b""
    while len(output) < length:
        block = hmac.digest(key, block + info + bytes([len(output) // 32 + 1]), "sha256")
        output += block
    return output[:length]


def hpke_open(enc: bytes, sealed: bytes, info: bytes, key: dict[str, str]) -> bytes:
    """RFC 9180, sections 5.1 and 6.1, in base mode with KEM 0x647a, HKDF-SHA256 and AES-256-GCM."""
    x25519 = X25519PrivateKey.from_private_bytes(bytes.fromhex(key["x25519_key"]))
    first = MLKEM768PrivateKey.from_seed_bytes(bytes.fromhex(key["mlkem_seed"])).decapsulate(enc[:1088])
    second = x25519.exchange(X25519PublicKey.from_public_bytes(enc[1088:]))
    own = x25519.public_key().public_bytes_raw()
    shared = hashlib.sha3_256(first + second + enc[1088:] + own + b"\\.//^\\").digest()

    def extract(salt: bytes, label: bytes, material: bytes) -> bytes:
        return hkdf_extract(salt, b"HPKE-v1" + SUITE + label + material)

    def expand(secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        return hkdf_expand(secret, length.to_bytes(2, "big") + b"HPKE-v1" + SUITE + label + context, length)

    context = b"\x00" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    cipher = AESGCM(expand(secret, b"key", context, 32))
    return cipher.decrypt(expand(secret, b"base_nonce", context, 12), sealed, b"")


def derive(secret: bytes, label: bytes, salt: bytes) -> bytes:
    """Section 2: HKDF-SHA-256 with a labelled info."""
    return hkdf_expand(hkdf_extract(salt, secret), encode(label), 32)


def plaintext_of(data: bytes, key: dict[str, str]) -> bytes:
    """Sections 3.1 and 3.2: header and frames."""
    header, body = data[:1226], data[1226:]
    assert header[:10] == b"\x89TALLY\r\n\x00\x01"
    info = encode(b"tallystick/package/v1/file-key", header[:26])
    file_key = hpke_open(header[26:1146], header[1146:1194], info, key)
    digest = hashlib.sha256(header[:1194]).digest()
    assert header[1194:] == derive(file_key, b"tallystick/package/v1/commitment", digest)
    cipher = AESGCM(derive(file_key, b"tallystick/package/v1/stream", hashlib.sha256(header).digest()))
    plain, index, final = b"", 0, False
    while not final:
        word = int.from_bytes(body[4:8], "big")
        length, final = word & 0x7FFFFFFF, word >> 31 == 1
        assert int.from_bytes(body[:4], "big") == index
        nonce = index.to_bytes(11, "big") + bytes([final])
        plain += cipher.decrypt(nonce, body[8 : 24 + length], body[:8])
        body, index = body[24 + length :], index + 1
    assert body == b""
    return plain


def test_good_vectors() -> None:
    """Both good packages open, their signature holds, and their parts are those that were signed."""
    police = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEYS["police"]["signing_seed"])).public_key()
    for name, chunks in (("good", 1), ("good-two-chunks", 2)):
        data = (FOLDER / f"{name}.tally").read_bytes()
        plain = plaintext_of(data, KEYS["unit"])
        assert -(-len(plain) // 262_144) == chunks
        tail = int.from_bytes(plain[-4:], "big")
        envelope = json.loads(plain[-4 - tail : -4])
        payload = base64.b64decode(envelope["payload"])
        kind = envelope["payloadType"].encode()
        message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
        police.verify(base64.b64decode(envelope["signatures"][0]["sig"]), message)
        key_id = hashlib.sha256(
            encode(b"tallystick/v1/signing-key-id", police.public_bytes_raw())
        ).hexdigest()
        assert envelope["signatures"][0]["keyid"] == f"sha256:{key_id}"
        manifest = json.loads(payload)
        assert manifest["header"] == "sha256:" + hashlib.sha256(data[:1226]).hexdigest()
        assert manifest["recipient"] == {"party": "unit", "key": data[10:26].hex()}
        at = 0
        for part in manifest["parts"]:
            content = plain[at : at + part["length"]]
            assert part["sha256"] == "sha256:" + hashlib.sha256(content).hexdigest()
            at += part["length"]
        assert at + tail + 4 == len(plain)


def test_key_file_vector() -> None:
    """The key file opens with Argon2id and AES-256-GCM as docs/spec/keys-v1.md, section 3, says."""
    fields = json.loads((FOLDER / "police.key").read_text())
    protected, salt, nonce = (base64.b64decode(fields[name]) for name in ("secret", "salt", "nonce"))
    del fields["secret"]
    bound = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    key = Argon2id(salt=salt, length=32, iterations=1, lanes=1, memory_cost=8).derive(b"correct horse")
    raw = AESGCM(key).decrypt(nonce, protected, bound).hex()
    police = KEYS["police"]
    assert raw == police["signing_seed"] + police["mlkem_seed"] + police["x25519_key"]


def test_ceremony_vector() -> None:
    """Commitments, linkage secret and check value follow from docs/spec/keys-v1.md alone."""
    vector = json.loads((FOLDER / "ceremony.json").read_text())
    ceremony = json.dumps(vector["ceremony"], sort_keys=True, separators=(",", ":")).encode()
    commitments, values = [], []
    for party in vector["ceremony"]["parties"]:
        value, nonce = (bytes.fromhex(vector["contributions"][party][name]) for name in ("value", "nonce"))
        items = (b"tallystick/v1/contribution-commitment", ceremony, party.encode(), nonce, value)
        commitments.append(hashlib.sha256(encode(*items)).digest())
        values.append(value)
        assert vector["commitments"][party] == commitments[-1].hex()
    salt = hashlib.sha256(encode(b"tallystick/v1/linkage-secret-salt", ceremony, *commitments)).digest()
    secret = derive(encode(b"tallystick/v1/contributions", *values), b"tallystick/v1/linkage-secret", salt)
    assert secret.hex() == vector["linkage_secret"]
    check = encode(b"tallystick/v1/linkage-secret-check", ceremony)
    digits = f"{int.from_bytes(hkdf_expand(hkdf_extract(b'', secret), check, 32), 'big') % 10**20:020d}"
    assert vector["check_value"].replace(" ", "") == digits
