"""What a reader demands of a genuine package, and the register that finds a second copy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas.atomic import atomic_write
from schemas.canonical import canonical_json, parse_json
from schemas.errors import (
    InputError,
    NotCanonical,
    Replayed,
    WrongAgreement,
    WrongKind,
    WrongLinkageSecret,
    WrongNormaliser,
    WrongPurpose,
    WrongRun,
    WrongSender,
)
from schemas.manifest import Manifest

KEY_CHECK = "key_check"
NORMALISER = "normaliser"
"""Names of the two facts that a reader can compare by `Expectation`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """What the reader demands of a manifest; None demands nothing.

    Attributes:
        kind, agreement_digest, run_id, sender, purpose: As in `Manifest`.
        key_check: The fact `key_check`: the value that shows which linkage secret was used.
        normaliser: The fact `normaliser`: the version of the normaliser.
    """

    kind: str | None = None
    agreement_digest: str | None = None
    run_id: str | None = None
    sender: str | None = None
    purpose: str | None = None
    key_check: str | None = None
    normaliser: str | None = None

    def check(self, manifest: Manifest, *, where: str) -> None:
        """Compare a manifest whose signature was verified.

        Raises:
            WrongKind, WrongAgreement, WrongRun, WrongSender, WrongPurpose, WrongNormaliser,
            WrongLinkageSecret: The named field differs.
        """
        facts = manifest.facts
        for wanted, found, error, message, remedy in (
            (self.kind, manifest.kind, WrongKind, "is of another kind than expected", _RIGHT_ONE),
            (self.agreement_digest, manifest.agreement_digest, WrongAgreement, _OTHER_AGREEMENT, _COMPARE),
            (self.run_id, manifest.run_id, WrongRun, "was made for another run", _RIGHT_ONE),
            (self.sender, manifest.sender, WrongSender, "comes from another party than expected", _RIGHT_ONE),
            (self.purpose, manifest.purpose, WrongPurpose, "was made for another purpose", _RIGHT_ONE),
            (self.normaliser, facts.get(NORMALISER), WrongNormaliser, _OTHER_NORMALISER, _SAME_RELEASE),
            (self.key_check, facts.get(KEY_CHECK), WrongLinkageSecret, _OTHER_SECRET, _READ_OUT),
        ):
            if wanted is not None and wanted != found:
                raise error(f"this package {message}.", where=where, remedy=remedy)


_OTHER_AGREEMENT = "was made under another agreement, or another version of it"
_OTHER_NORMALISER = "was sealed by another version of the normaliser than its fellows"
_OTHER_SECRET = "was sealed with another linkage secret than its fellows"  # noqa: S105 - a message
_RIGHT_ONE = "Ask the sender for the right package."
_COMPARE = "Compare the digest of your signed agreement with the sender's."
_SAME_RELEASE = "Every agency seals with the release that the agreement names; ask for it to be sealed again."
_READ_OUT = (
    "Agencies compare the check values of their linkage secrets, and the one that differs seals again."
)


class ReplayGuard:
    """Remembers which packages were taken in. Without a file it forgets when the program ends.

    Args:
        path: A file to keep the register in; made when the first package is admitted.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._seen: set[str] = set()
        if path is not None and path.exists():
            self._seen = set(_read_register(path))

    def admit(self, manifest: Manifest, *, where: str | None = None) -> None:
        """Take a package in, once.

        Raises:
            Replayed: This package, or another of the same kind from the same sender for the same agreement
                and run, was taken in before.
            OutputError: The register cannot be written.
        """
        self.admit_all([(manifest, where)])

    def admit_all(self, packages: Iterable[tuple[Manifest, str | None]]) -> None:
        """Take packages (manifest, where) in together: when one is refused, none is remembered.

        Raises:
            Replayed: As for `admit`.
            OutputError: As for `admit`.
        """
        seen = self._with(packages)
        if self._path is not None:
            atomic_write(
                self._path, canonical_json({"format": _REGISTER, "version": 1, "seen": sorted(seen)})
            )
        self._seen = seen

    def check_all(self, packages: Iterable[tuple[Manifest, str | None]]) -> None:
        """Refuse what `admit_all` would refuse, and remember nothing.

        Raises:
            Replayed: As for `admit`.
        """
        self._with(packages)

    def _with(self, packages: Iterable[tuple[Manifest, str | None]]) -> set[str]:
        seen = set(self._seen)
        for manifest, where in packages:
            slot = canonical_json(
                [
                    manifest.agreement_digest,
                    manifest.run_id,
                    manifest.kind,
                    manifest.sender,
                    manifest.recipient,
                ]
            ).decode()
            if manifest.package_id in seen:
                raise Replayed("this package was already taken in.", where=where, remedy="Leave it out.")
            if slot in seen:
                raise Replayed(
                    "another package from this sender was already taken in for this run.",
                    where=where,
                    remedy="Ask the sender which one counts, and start a new run with that one only.",
                )
            seen |= {manifest.package_id, slot}
        return seen


_REGISTER = "tallystick-replay-register"


def _read_register(path: Path) -> list[str]:
    try:
        value = parse_json(path.read_bytes())
    except (OSError, NotCanonical):
        value = None
    if (
        not isinstance(value, dict)
        or value.get("format") != _REGISTER
        or not isinstance(value.get("seen"), list)
    ):
        # An unreadable register must not pass for an empty one: that would let every old package in again.
        raise InputError(
            "this is not a replay register.", where=str(path), remedy="Restore it from your backup."
        )
    return [str(item) for item in value["seen"]]
