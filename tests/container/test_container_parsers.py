"""Every parser, given anything: the project's own errors, or a value; never another exception."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from package_forge import FOLDER

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

import mutate
import targets
from test_canonical import TEXT, VALUES

from schemas.canonical import JSON, canonical_json
from schemas.dsse import parse_envelope
from schemas.errors import EnvelopeInvalid, IdentityError, ManifestInvalid
from schemas.identity import PublicIdentity
from schemas.manifest import parse_manifest

FAST = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
GOOD = (FOLDER / "good.tally").read_bytes()
LAYERS = targets.layers()


@settings(FAST, max_examples=60)
@given(st.binary(max_size=300))
@example(b"")
@example(GOOD[:8])
@example(GOOD[:10])
@example(b"\x89TALLY\r\n\x00\x01" + bytes(2000))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    """Arbitrary bytes make no parser raise anything outside the tree."""
    targets.parse_anything(data, tmp_path / "input")


@settings(FAST, max_examples=60)
@given(VALUES)
def test_any_json(tmp_path: Path, value: JSON) -> None:
    """Arbitrary JSON makes no parser raise anything outside the tree."""
    targets.parse_anything(canonical_json(value), tmp_path / "input")


@FAST
@given(st.data())
def test_json_of_the_right_fields(data: st.DataObject) -> None:
    """Documents with the right field names and any values in them are read or refused."""
    manifest = LAYERS["payload"].seed
    fields = json.loads(manifest)
    for name in data.draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3)):
        fields[name] = data.draw(VALUES)
    with contextlib.suppress(ManifestInvalid):
        parse_manifest(canonical_json(fields))
    envelope = {
        name: data.draw(VALUES | st.just("AAAA")) for name in ("payload", "payloadType", "signatures")
    }
    with contextlib.suppress(EnvelopeInvalid):
        parse_envelope(envelope)
    with contextlib.suppress(IdentityError):
        PublicIdentity.from_dict(
            {"party": data.draw(TEXT), "signing_key": "AAAA", "receiving_key": data.draw(VALUES)}
        )


@settings(FAST, max_examples=300)
@given(st.sampled_from(["outer", "plaintext"]), st.randoms(use_true_random=False))
def test_mutated_packages_are_refused(tmp_path: Path, name: str, rng: object) -> None:
    """No change by anyone but a party is ever accepted."""
    layer = LAYERS[name]
    data = mutate.mutate(layer.seed, rng)  # type: ignore[arg-type]
    if data != layer.seed:
        assert not targets.accepted(layer.package(data), tmp_path / "mutated.tally")


def test_the_seeds_are_accepted(tmp_path: Path) -> None:
    """The fuzzers start from packages that open, so that a refusal means something."""
    for name, layer in LAYERS.items():
        assert targets.accepted(layer.package(layer.seed), tmp_path / f"{name}.tally")
