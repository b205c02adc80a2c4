"""Which requests of the register an erasure answers: written down when it is asked for, closed when it was done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

from governance.lifecycle.request_register import Entry, RequestRegister

NO_REGISTER = (
    "No register of requests was named (--request-register), so rule O06 will not know of this one. Begin one with: "
    "tallystick requests new."
)


@dataclass(kw_only=True, slots=True)
class Answered:
    """The requests that an erasure answers.

    Attributes:
        register: Where they stand; None when there is none, or when it is no erasure of people.
        entries: The requests.
        wanted: Whether it is an erasure of people, which belongs into a register.
    """

    register: RequestRegister | None
    entries: list[Entry] = field(default_factory=list)
    wanted: bool = False

    def close(self, today: date) -> None:
        """Say in the register that they were applied.

        Raises:
            InputError, OutputError: The register cannot be read or written.
        """
        if self.register is not None:
            self.entries = [self.register.close(entry.case, "applied", on=today) for entry in self.entries]

    def notes(self, *, acted: bool) -> list[str]:
        """Return sentences for the person who erases."""
        if self.register is None:
            return [NO_REGISTER] if self.wanted else []
        done = "applied today" if acted else "still to be applied"
        return [
            f"Register of requests: {entry.case}, received {entry.received.isoformat()}, due {entry.due.isoformat()}, "
            f"{done}."
            for entry in self.entries
        ]


def answered_by(
    register: RequestRegister | None,
    *,
    today: date,
    agency: str = "",
    refs: Collection[str] = (),
    covered: Collection[str] = (),
    packages: Mapping[str, str] | None = None,
) -> Answered:
    """Return the open requests that an erasure answers; what nobody wrote down yet is added, as of today.

    Args:
        register: The register, if there is one.
        today: Day on which the erasure is asked for.
        agency: At an agency: its name.
        refs: The references given.
        covered: Those and the ones that belong to the same people.
        packages: At the unit: digest of each signed request -> the agency that asks.

    Raises:
        InputError, OutputError: The register cannot be read or written.
    """
    if register is None:
        return Answered(register=None, wanted=True)
    if packages is None:
        found = register.matching(agency, covered or refs)
        if found or register.matching(agency, covered or refs, "applied"):  # the same erasure, run again
            return Answered(register=register, entries=found, wanted=True)
        added = register.add(kind="erasure", agency=agency, received=today, refs=refs)
        return Answered(register=register, entries=[added], wanted=True)
    known = {entry.package: entry for entry in register.entries() if entry.outcome is None}
    new = [
        register.add(kind="erasure", agency=sender, received=today, package=package)
        for package, sender in packages.items()
        if package not in known
    ]
    old = [known[package] for package in packages if package in known]
    return Answered(register=register, entries=[*old, *new], wanted=True)
