"""The sealing vectors: made by the code to the byte, and recomputed from docs/spec/sealing-v1.md alone."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import make_sealing_vectors
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

VECTORS: dict[str, Any] = json.loads(make_sealing_vectors.FILE.read_bytes())
LABEL = "tallystick/block-sealed/v1/"


def test_generator_gives_the_same_bytes() -> None:
    """The file is what its generator makes today; a difference means that sealed files no longer meet older ones."""
    assert make_sealing_vectors.FILE.read_bytes() == make_sealing_vectors.vectors()


# --- a second implementation, from the specification; nothing of hashing/ is used below ---------------------


def info(label: str, *parts: str) -> bytes:
    """`encode(label, …)` of package-v1.md, section 2."""
    items = [(LABEL + label).encode("ascii"), *(part.encode() for part in parts)]
    return len(items).to_bytes(8, "big") + b"".join(len(item).to_bytes(8, "big") + item for item in items)


def run_key() -> bytes:
    """The key of the run."""
    secret = bytes.fromhex(VECTORS["secret"])
    context = info("run", VECTORS["agreement"], VECTORS["run"])
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=context).derive(secret)


def expand(label: str, *parts: str, length: int = 32) -> bytes:
    """A key that derives from the run key."""
    return HKDFExpand(algorithm=SHA256(), length=length, info=info(label, *parts)).derive(run_key())


def cmac(key: bytes, message: bytes) -> bytes:
    """AES-CMAC of one message."""
    made = CMAC(algorithms.AES(key))
    made.update(message)
    return made.finalize()


def digest(name: str, text: str) -> bytes:
    """V_f(x); that of a name set is made of its two names in order of their own MACs."""
    if name == "name_set":
        names = [cmac(expand("name-of-set"), part.encode()) for part in text.split("|")]
        names.sort(key=lambda mac: [int.from_bytes(mac[at : at + 8], "little") for at in (0, 8)])
        return cmac(expand("field", name), b"".join(names))
    return cmac(expand("field", VECTORS["like"].get(name, name)), text.encode())


def value_of(name: str, row: int) -> str | None:
    """A derived value; those of the rarity classes are the exact name."""
    base = name.removesuffix(".rare").removesuffix(".mid")
    text: str | None = VECTORS["derived"].get(base if base == name else f"{base}.exact", [None] * 9)[row]
    return text


def test_key_check_and_display_key() -> None:
    """Both derive from the run key."""
    assert VECTORS["key_check"] == expand("key-check", length=16).hex()
    assert VECTORS["display_key"] == expand("display").hex()


def test_digests() -> None:
    """Every field digest is a CMAC under the key of its derived value."""
    for name, listed in VECTORS["digests"].items():
        assert listed == {text: digest(name, text).hex() for text in listed}


@pytest.mark.parametrize("made", VECTORS["passes"], ids=lambda made: made["name"])
def test_blocks_and_tokens(made: dict[str, Any]) -> None:
    """Who takes part, block secrets, block ids and every token follow from the specification."""
    people = range(len(VECTORS["people"]))
    complete = [row for row in people if all(value_of(part, row) is not None for part in made["parts"])]
    cell = Counter(tuple(value_of(part, row) for part in made["parts"]) for row in complete)
    kept = [
        row
        for row in complete
        if cell[tuple(value_of(p, row) for p in made["parts"])] <= VECTORS["crowded_cell"]
    ]
    assert made["incomplete"] == len(people) - len(complete)
    assert made["crowded"] == len(complete) - len(kept)
    table = made["table"]
    assert table["version"] == kept
    for place, row in enumerate(kept):
        secret = cmac(
            expand("block", made["name"]),
            b"".join(digest(part, str(value_of(part, row))) for part in made["parts"]),
        )
        assert secret.hex() == made["block_secrets"][place]
        block = cmac(expand("block-id", made["name"]), secret)[:8]
        assert int(table["block"][place]) == int.from_bytes(block, "little", signed=True)
        for name in made["tokens"]:
            token = table[name.replace(".", "_")][place]
            text = value_of(name, row)
            if text is None:
                assert token is None
            elif VECTORS["rarity"].get(name, [True] * len(people))[row]:
                full = cmac(expand("comparison", made["name"]), secret + digest(name, text))
                assert token == int.from_bytes(full[: VECTORS["bits"][name] // 8], "little")


def test_vectors_reach_every_rule() -> None:
    """There is a crowded cell, an incomplete row, a missing value, and a name in and out of its class."""
    passes = VECTORS["passes"]
    assert any(made["crowded"] for made in passes)
    assert any(made["incomplete"] for made in passes)
    assert any(None in column for made in passes for column in made["table"].values())
    assert {True, False} <= set(VECTORS["rarity"]["surname.rare"])
    assert any(len(set(made["table"]["block"])) < len(made["table"]["block"]) for made in passes)


def test_vectors_hold_a_second_forename_that_is_the_first_one_of_another_person() -> None:
    """In some block the two have the same token, in two columns."""
    found = False
    for made in VECTORS["passes"]:
        table = made["table"]
        first, second = table.get("forename_exact", []), table.get("forename_second", [])
        found |= any(
            one is not None and one == other and table["block"][a] == table["block"][b]
            for a, one in enumerate(first)
            for b, other in enumerate(second)
        )
    assert found
