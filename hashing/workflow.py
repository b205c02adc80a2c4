"""What the agency's commands do, from file to file."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.csv as pc_csv

from governance.agreement import Agreement, load_agreement
from governance.agreement_check import Job, require_agreement
from governance.agreement_signatures import require_own_keys
from governance.check_moments import secret_facts
from governance.exceptions import load_exceptions
from governance.lifecycle.request_register import RequestRegister
from hashing.apart import NOBODY, read_apart
from hashing.exclusions import attested, leave_out, read_exclusions
from hashing.extract import Extract, open_extract, read_extract, read_source
from hashing.mapping import AgencyMapping, load_mapping
from hashing.package import SealReport, seal_subjects, shuffle, write_crosswalk
from hashing.reading.database import Query
from hashing.reading.memory import give_back
from hashing.rejects import write_rejects
from hashing.secret import LinkageSecret
from hashing.subjects import Subjects, collapse_stream
from schemas.atomic import atomic_file, together
from schemas.errors import (
    AgreementInvalid,
    ComplianceBlocked,
    InputError,
    MappingError,
    OutputError,
    WrongAgreement,
)
from schemas.identity import PrivateIdentity

if TYPE_CHECKING:  # loaded by the functions that need them, so that sealing does not wait for them
    from hashing.opening import Opened
    from hashing.profile import Profile


def _mapping_of(mapping_file: Path | None, agency: str) -> AgencyMapping:
    if mapping_file is None:
        return AgencyMapping()
    listed = load_mapping(mapping_file)
    if agency not in listed:
        raise MappingError(
            f"there is no entry for {agency}.",
            where=f"{mapping_file}: agencies",
            remedy=f"It has: {', '.join(listed) or 'none'}.",
        )
    return listed[agency]


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            raise OutputError(
                "this file already exists; a package and its crosswalk belong together and are never overwritten.",
                where=str(path),
                remedy="Name a new file, or move the old one away.",
            )


def _require_place(
    agreement: Agreement, identity: PrivateIdentity, secret: LinkageSecret, now: datetime
) -> None:
    """Refuse keys and secrets that are not of this agreement, before anything is computed."""
    remedy = "Use the key file whose public keys stand in the agreement."
    require_own_keys(agreement, identity, remedy=remedy)
    if agreement.unit_keys is None:
        raise AgreementInvalid(
            "the agreement holds no keys of the linkage unit, so nothing can be sent to it."
        )
    if secret.ceremony.agreement_digest != agreement.digest:
        raise WrongAgreement(
            "the linkage secret was made for another agreement, or another version of it.",
            remedy="Hold a ceremony under this agreement (tallystick keys contribute).",
        )
    secret.require_usable(now.date())


def _job(secret: LinkageSecret) -> Job:
    return Job(agreement_digest=secret.ceremony.agreement_digest)


def _refuse_objected(subjects: Subjects, requests: RequestRegister, party: str) -> None:
    """Refuse while somebody whose objection was upheld is in the extract; case numbers are said, no reference.

    Raises:
        ComplianceBlocked: Somebody is.
    """
    asked = requests.asking(party)(subjects.refs.to_pylist())
    cases = [each.reference for each in asked if each.kind == "objection" and each.applied and each.back]
    if cases:
        raise ComplianceBlocked(
            f"O06: the extract holds people whose objection was upheld: {', '.join(cases)}.",
            where=str(requests.path),
            remedy="Name their references in the file for --exclude, so that they are left out and counted.",
        )


def _secret_facts(secret: LinkageSecret) -> Mapping[str, int | str]:
    ceremony = secret.ceremony
    return secret_facts(epoch=ceremony.epoch, starts_on=ceremony.starts_on, expires_on=ceremony.expires_on)


def report_dict(report: SealReport) -> dict[str, Any]:
    """Return a seal report as JSON values: counts only."""
    return asdict(report)


def seal_extract(
    extract: Path | Query,
    *,
    agreement_file: Path,
    mapping_file: Path | None,
    identity: PrivateIdentity,
    secret: LinkageSecret,
    run_id: str,
    out: Path,
    crosswalk: Path,
    now: datetime,
    as_of: date | None = None,
    rejects: Path | None = None,
    exceptions: Sequence[Path] = (),
    exclusions: Mapping[str, int] | None = None,
    exclude: Path | None = None,
    do_not_link: Path | None = None,
    requests: RequestRegister | None = None,
    announce: Callable[[str], None] = lambda _name: None,
) -> dict[str, Any]:
    """Read, normalise and seal an extract; write the package and the crosswalk.

    Args:
        extract: The agency's extract, a file or a query.
        agreement_file: The agreement, which must be signed and in force (rules D01 to D22).
        mapping_file: mapping.yaml, when columns have other names.
        identity: The agency's keys, whose public half stands in the agreement.
        secret: The linkage secret of this agreement.
        run_id: The run.
        out: Package to write.
        crosswalk: Crosswalk to write; it appears with the package, or not at all.
        now: Time, with a zone.
        as_of: Last day of the window; the day of the extract's latest contact when None.
        rejects: CSV file to write for rows that cannot be used, by row number and reason.
        exclusions: Kind of exclusion -> people left out of the extract before sealing, attested (rule P12).
        exclude: File of people to leave out now, with the kind of each; they are counted and attested as well.
        do_not_link: Table of pairs of references that must never be one person.
        requests: The agency's register of requests: whose objection was upheld is not sealed (rule O06).
        exceptions: Signed exceptions to rules.
        announce: Told what is being done.

    Returns:
        What was done, in counts, and under `read_as` what the extract was taken for.

    Raises:
        TallystickError: The input, the agreement or a key does not fit.
    """
    _refuse_existing(out, crosswalk)
    if as_of is not None and as_of > now.date():
        raise InputError(
            "the window cannot end in the future.", where="--as-of", remedy="Give today or an earlier day."
        )
    agreement = require_agreement(
        agreement_file, today=now.date(), job=_job(secret), exceptions=exceptions, party=identity.party
    )
    _require_place(agreement, identity, secret, now)
    granted = load_exceptions(exceptions, agreement)
    mapping = _mapping_of(mapping_file, identity.party)
    read = open_extract(extract, agency=identity.party, mapping=mapping)
    announce("reading and normalising")
    collapsed = collapse_stream(
        read,
        today=now.date(),
        mapping=mapping,
        standards=agreement.standards,
        match_fields=agreement.match_fields,
    )
    left_out = None
    if exclude is not None:
        kinds = [entry.kind for entry in agreement.exclusions]
        collapsed, left_out = leave_out(collapsed, read_exclusions(exclude, kinds))
        exclusions = attested(kinds, left_out, exclusions or {})
    if requests is not None:
        _refuse_objected(collapsed, requests, identity.party)
    subjects = shuffle(collapsed)
    del collapsed  # as large as what was made of it
    give_back()
    apart = NOBODY if do_not_link is None else read_apart(do_not_link, subjects)
    seal_id = secrets.token_hex(16)
    announce("sealing")
    unit = agreement.unit_keys
    assert unit is not None  # noqa: S101 - checked by _require_place
    # The crosswalk comes first: a package that nobody could open the return of must not exist.
    with together():
        write_crosswalk(
            subjects,
            crosswalk,
            agreement=agreement,
            run_id=run_id,
            owner=identity,
            created_at=now,
            seal_id=seal_id,
        )
        if rejects is not None:
            write_rejects(subjects.rejected, rejects, first_row=read.first_row)
        report = seal_subjects(
            subjects,
            out,
            agreement=agreement,
            run_id=run_id,
            secret=secret.sealing_key(),
            sender=identity,
            unit=unit,
            created_at=now,
            as_of=as_of,
            seal_id=seal_id,
            secret_facts=_secret_facts(secret),
            exceptions=granted,
            exclusions=exclusions,
            apart=apart,
            progress=lambda done, total: announce(f"sealing, pass {done} of {total}"),
        )
    told: dict[str, Any] = {} if left_out is None else {"left_out": asdict(left_out)}
    if do_not_link is not None:
        told["do_not_link"] = {
            "listed": apart.listed,
            "pairs": len(apart.subjects),
            "not_held": apart.not_held,
        }
    return {**report_dict(report), "source": read.source, "read_as": read.read_as, **told}


def rehearse_seal(
    extract: Path | Query,
    *,
    agreement_file: Path,
    mapping_file: Path | None,
    agency: str,
    out: Path,
    crosswalk: Path,
    now: datetime,
    rejects: Path | None = None,
) -> Profile:
    """Check what `seal_extract` would check before it needs a key, and report on the extract; seal nothing.

    Raises:
        TallystickError: The input, the agreement or an output does not fit.
    """
    from hashing.profile import profile_extract

    _refuse_existing(out, crosswalk)
    agreement = load_agreement(agreement_file, today=now.date())
    if agreement.party(agency) is None:
        raise AgreementInvalid(
            f"{agency} is no party to this agreement.", remedy="Use the key file of a party."
        )
    return profile_extract(
        extract,
        agency=agency,
        mapping=_mapping_of(mapping_file, agency),
        agreement=agreement,
        today=now.date(),
        rejects=rejects,
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
        mapping=_mapping_of(mapping_file, agency),
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
    if guess.unrecognised:
        remarks.append(f"Columns not made use of: {', '.join(guess.unrecognised)}.")
    return mapping_yaml(guess), remarks


def _read_own(extract: Path | Query, mapping_file: Path | None, agency: str) -> Extract:
    return read_extract(extract, agency=agency, mapping=_mapping_of(mapping_file, agency))


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
        agreement_file, today=today, job=_job(secret), exceptions=exceptions, party=identity.party
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
