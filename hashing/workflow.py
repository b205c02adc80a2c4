"""What the agency's commands do, from file to file."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.csv as pc_csv

from governance.agreement import Agreement, load_agreement, read_document
from governance.agreement_check import agreement_subject, require_agreement, require_read
from governance.exceptions import SignedException, load_exceptions
from governance.lifecycle.request_register import RequestRegister
from hashing.apart import Apart
from hashing.extract import Extract, read_extract, read_source
from hashing.mapping import load_mapping
from hashing.order import Order
from hashing.package import SealReport, seal_subjects, write_crosswalk
from hashing.preparing import (
    Prepared,
    apart_counts,
    facts_of,
    job_of,
    kept_apart,
    mapping_of,
    prepare,
    refuse_objected,
    require_place,
    require_possible,
    require_secret,
)
from hashing.reading.database import Query
from hashing.reading.memory import give_back
from hashing.rejects import write_rejects
from hashing.secret import LinkageSecret
from schemas.atomic import atomic_file, together
from schemas.errors import TallystickError
from schemas.identity import PrivateIdentity, PublicIdentity

if TYPE_CHECKING:  # loaded by the functions that need them, so that sealing does not wait for them
    from hashing.opening import Opened
    from hashing.profile import Profile


_MOST_HEADERS = 20
"""Columns that are not made use of and still named."""


def report_dict(report: SealReport) -> dict[str, Any]:
    """Return a seal report as JSON values: counts only."""
    return asdict(report)


def seal_extract(
    order: Order,
    *,
    keys: Callable[[], tuple[PrivateIdentity, LinkageSecret]],
    now: datetime,
    announce: Callable[[str], None] = lambda _name: None,
) -> dict[str, Any]:
    """Read, normalise and seal an extract; write the package and the crosswalk.

    Args:
        order: What is to be sealed, under what, into which files.
        keys: Gives the agency's keys, whose public half stands in the agreement, and the linkage secret of this
            agreement; asked once, after the agreement was read and before anything of the extract is.
        now: Time, with a zone.
        announce: Told what is being done.

    Returns:
        What was done, in counts, and under `read_as` what the extract was taken for.

    Raises:
        TallystickError: The input, the agreement or a key does not fit.
    """
    require_possible(order, now)
    sealing = _permitted(order, keys, now, announce)
    agency = sealing.identity.party
    announce("reading and normalising")
    prepared = prepare(order, agreement=sealing.agreement, agency=agency, today=now.date())
    prepared = prepared.in_contact(sealing.agreement, order.as_of)
    refuse_objected(prepared.subjects, order.requests, agency)
    prepared = prepared.shuffled()  # what it was made of is as large, and goes
    give_back()
    apart = kept_apart(order, prepared.subjects)
    announce("sealing")
    report = sealing.write(order, prepared, apart)
    return {
        **report_dict(report),
        "source": prepared.read.source,
        "read_as": prepared.read.read_as,
        **prepared.told(),
        **({} if order.do_not_link is None else {"do_not_link": apart_counts(apart)}),
    }


def _permitted(
    order: Order,
    keys: Callable[[], tuple[PrivateIdentity, LinkageSecret]],
    now: datetime,
    announce: Callable[[str], None],
) -> _Sealing:
    """Return who seals under what, when agreement, keys, linkage secret and exceptions allow it."""
    read = agreement_subject(order.agreement_file, today=now.date())
    _read_ahead(order.mapping_file)
    identity, secret = keys()
    agreement = require_read(
        *read,
        job=job_of(secret.ceremony),
        exceptions=order.exceptions,
        party=identity.party,
    )
    unit = require_place(agreement, identity)
    require_secret(agreement, secret.ceremony, now.date())
    return _Sealing(
        agreement=agreement,
        identity=identity,
        unit=unit,
        secret=secret,
        granted=load_exceptions(order.exceptions, agreement),
        now=now,
        announce=announce,
    )


def _read_ahead(mapping_file: Path | None) -> None:
    """Have the mapping parsed before it is needed; what is wrong with it is told when it is."""
    if mapping_file is not None:
        with suppress(TallystickError):
            read_document(mapping_file)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sealing:
    """Who seals under what."""

    agreement: Agreement
    identity: PrivateIdentity
    unit: PublicIdentity
    secret: LinkageSecret
    granted: Sequence[SignedException]
    now: datetime
    announce: Callable[[str], None]

    def write(self, order: Order, prepared: Prepared, apart: Apart) -> SealReport:
        """Write crosswalk, rejects and package: all appear, or none."""
        seal_id = secrets.token_hex(16)
        # The crosswalk comes first: a package that nobody could open the return of must not exist.
        with together():
            write_crosswalk(
                prepared.subjects,
                order.crosswalk,
                agreement=self.agreement,
                run_id=order.run_id,
                owner=self.identity,
                created_at=self.now,
                seal_id=seal_id,
            )
            if order.rejects is not None:
                write_rejects(prepared.subjects.rejected, order.rejects, first_row=prepared.read.first_row)
            return seal_subjects(
                prepared.subjects,
                order.out,
                agreement=self.agreement,
                run_id=order.run_id,
                secret=self.secret.sealing_key(),
                sender=self.identity,
                unit=self.unit,
                created_at=self.now,
                as_of=order.as_of,
                seal_id=seal_id,
                secret_facts=facts_of(self.secret.ceremony),
                exceptions=self.granted,
                exclusions=prepared.exclusions,
                apart=apart,
                progress=lambda done, total: self.announce(f"sealing, pass {done} of {total}"),
            )


def profile(
    extract: Path | Query,
    *,
    agency: str | None,
    mapping_file: Path | None,
    agreement_file: Path | None,
    today: date,
    rejects: Path | None = None,
) -> Profile:
    """Report on an extract.

    Args:
        extract: A file or a query.
        agency: Entry of the mapping; when None the only one there is, or the one named like the file.
        mapping_file: mapping.yaml, when columns have other names.
        agreement_file: The agreement whose fields, standards and passes count; it need not be in force.
        today: Dates after this day are invalid.
        rejects: CSV file to write for rows that cannot be used.

    Raises:
        TallystickError: An input does not fit.
    """
    from hashing.profile import profile_extract

    listed = load_mapping(mapping_file) if mapping_file is not None else {}
    if agency is None:
        stem = "extract" if isinstance(extract, Query) else extract.stem
        agency = next(iter(listed)) if len(listed) == 1 else stem
    return profile_extract(
        extract,
        agency=agency,
        mapping=mapping_of(mapping_file, agency),
        agreement=load_agreement(agreement_file) if agreement_file is not None else None,
        today=today,
        rejects=rejects,
    )


def draft_mapping(extract: Path | Query, *, agency: str | None) -> tuple[str, list[str]]:
    """Return a drafted mapping.yaml, and remarks for the person who corrects it.

    Args:
        extract: A file or a query.
        agency: Name of its entry; the name of the file when None.

    Raises:
        ExtractError: The extract cannot be read, or its first line seems not to be the header.
    """
    from hashing.guess import SAMPLED_ROWS, guess_mapping
    from hashing.guess_yaml import mapping_yaml

    read = read_source(extract)
    name = agency or ("agency" if isinstance(extract, Query) else extract.stem)
    guess = guess_mapping(read.sample(SAMPLED_ROWS), agency=name, source=str(extract))
    remarks = [f"{extract}: read as {read.read_as}.", *guess.notes]
    if unused := guess.unrecognised:
        more = f" and {len(unused) - _MOST_HEADERS} more" if len(unused) > _MOST_HEADERS else ""
        remarks.append(f"Columns not made use of: {', '.join(unused[:_MOST_HEADERS])}{more}.")
    return mapping_yaml(guess), remarks


def _read_own(extract: Path | Query, mapping_file: Path | None, agency: str) -> Extract:
    return read_extract(extract, agency=agency, mapping=mapping_of(mapping_file, agency))


def open_to_csv(
    package: Path,
    *,
    extract: Path | Query,
    agreement_file: Path,
    mapping_file: Path | None,
    identity: PrivateIdentity,
    secret: LinkageSecret,
    crosswalk: Path,
    out: Path,
    today: date,
    exceptions: Sequence[Path] = (),
    requests: RequestRegister | None = None,
) -> Opened:
    """Open a return and write the agency's own people, named again, to the CSV file `out`.

    Raises:
        TallystickError: The return or the crosswalk is not genuine or does not fit, or an input is wrong.
    """
    from hashing.opening import open_return

    agreement = require_agreement(
        agreement_file, today=today, job=job_of(secret.ceremony), exceptions=exceptions, party=identity.party
    )
    opened = open_return(
        package,
        crosswalk=crosswalk,
        extract_columns=_read_own(extract, mapping_file, identity.party).columns,
        agreement=agreement,
        owner=identity,
        known=agreement.identities,
        secret=secret.sealing_key(),
        today=today,
        exceptions=load_exceptions(exceptions, agreement),
        asking=None if requests is None else requests.asking(identity.party),
    )
    with atomic_file(out, private=True) as stream:
        pc_csv.write_csv(opened.table, stream)
    return opened
