"""What is to be sealed: the words of the call. It loads nothing, so that a command has it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.lifecycle.request_register import RequestRegister
    from hashing.reading.database import Query


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What is to be sealed, under what, into which files.

    Attributes:
        extract: The agency's extract, a file or a query.
        agreement_file: The agreement, which must be signed and in force (rules D01 to D22).
        mapping_file: mapping.yaml, when columns have other names.
        run_id: The run.
        out: Package to write.
        crosswalk: Crosswalk to write; it appears with the package, or not at all.
        as_of: Last day of the window; the day of the extract's latest contact when None.
        rejects: CSV file to write for rows that cannot be used, by row number and reason.
        exceptions: Signed exceptions to rules.
        exclusions: Kind of exclusion -> people left out of the extract before sealing, attested (rule P12).
        exclude: File of people to leave out now, with the kind of each; they are counted and attested as well.
        do_not_link: Table of pairs of references that must never be one person.
        requests: The agency's register of requests: whose objection was upheld is not sealed (rule O06).
    """

    extract: Path | Query
    agreement_file: Path
    mapping_file: Path | None
    run_id: str
    out: Path
    crosswalk: Path
    as_of: date | None = None
    rejects: Path | None = None
    exceptions: Sequence[Path] = ()
    exclusions: Mapping[str, int] | None = None
    exclude: Path | None = None
    do_not_link: Path | None = None
    requests: RequestRegister | None = None
