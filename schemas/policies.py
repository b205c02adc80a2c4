"""What a reader demands of a genuine package, and the register that finds a second copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
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
from schemas.locks import locked
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

    Several processes may use one file: each looks at it anew under a lock before it adds to it.

    Args:
        path: A file to keep the register in; made when the first package is admitted.

    Raises:
        InputError: The file is there and is no register.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._seen: set[str] = set()
        self._refresh()

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
        with self.admission(packages):
            pass

    @contextmanager
    def admission(self, packages: Iterable[tuple[Manifest, str | None]]) -> Iterator[None]:
        """Take packages in together with the work of the block: if that fails, they were not taken in.

        The register is locked meanwhile, so the block should only do what makes the work final (a rename). It is
        written before the block begins: a process that is killed inside leaves packages refused, never taken in twice.

        Raises:
            Replayed: As for `admit`; the block is not entered.
            OutputError: As for `admit`.
        """
        with self._held():
            before, after = self._seen, self._with(packages)
            self._write(after)
            self._seen = after
            try:
                yield
            except BaseException:
                self._write(before)
                self._seen = before
                raise

    def check_all(self, packages: Iterable[tuple[Manifest, str | None]]) -> None:
        """Refuse what `admit_all` would refuse, and remember nothing.

        Raises:
            Replayed: As for `admit`.
            OutputError: There is no place for the register, so `admit_all` would fail too.
        """
        with self._held():
            self._with(packages)

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the register's lock, and know what stands in it now."""
        with nullcontext() if self._path is None else locked(self._path):
            self._refresh()
            yield

    def _refresh(self) -> None:
        if self._path is not None:
            self._seen = set(_read_register(self._path)) if self._path.exists() else set()

    def _write(self, seen: set[str]) -> None:
        if self._path is not None:
            atomic_write(
                self._path, canonical_json({"format": _REGISTER, "version": 1, "seen": sorted(seen)})
            )

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
