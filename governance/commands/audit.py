"""`audit`: begin, show, verify and prove the log of accesses, and sign checkpoints of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from schemas.errors import AuditIncomplete, InputError
from schemas.terminal import DAY, FILE, emit, json_option, out_option, passphrase, refuse_existing


@click.group("audit")
def audit() -> None:
    """Keep, show, verify and prove the log of who did what, for whom and why."""


@audit.command("new")
@click.argument("log", type=FILE)
@click.option("--organisation", required=True, help="Id of the party whose log it is.")
def audit_new(log: Path, organisation: str) -> None:
    """Begin an empty audit log.

    \b
    Example:  tallystick audit new police.audit --organisation police
    """
    from governance.audit.access import user_name
    from governance.audit.log import AuditLog

    made = AuditLog.create(log, organisation=organisation, user=user_name(), now=datetime.now(UTC))
    click.echo(
        f"Begun {log}, the log {made.log_id} of {organisation}. Name it by --audit, or in TALLYSTICK_AUDIT."
    )


@audit.command("show")
@click.argument("log", type=FILE)
@click.option("--action", help="Only this action, such as open.")
@click.option("--user", help="Only this user.")
@click.option("--run", "run_id", help="Only this run.")
@click.option("--outcome", help="Only this outcome: begun, done, failed or stopped.")
@click.option("--since", type=DAY, help="Only from this day on.")
@click.option("--until", type=DAY, help="Only up to this day.")
@click.option(
    "--refs", type=FILE, help="Only entries that concern the people in this file, one reference a line."
)
@json_option
def audit_show(
    log: Path,
    action: str | None,
    user: str | None,
    run_id: str | None,
    outcome: str | None,
    since: datetime | None,
    until: datetime | None,
    refs: Path | None,
    as_json: bool,
) -> None:
    """Print the entries of an audit log, all or some.

    With --json each entry is one line. Entries that are begun are followed, later, by how they ended (`of`).

    \b
    Example:  tallystick audit show police.audit --action open --since 2026-11-01
    """
    from governance.audit.log import AuditLog
    from governance.audit.show import Filter, concerning, shown

    opened = AuditLog(log)
    wanted = Filter(
        action=action,
        user=user,
        run=run_id,
        outcome=outcome,
        since=since.date() if since else None,
        until=until.date() if until else None,
        commitments=None if refs is None else concerning(opened, refs),
    )
    for entry in opened.entries():
        if wanted.takes(entry):
            click.echo(entry.to_line().decode().rstrip("\n") if as_json else shown(entry))


@audit.command("verify")
@click.argument("log", type=FILE, required=False)
@click.option(
    "checkpoint_files", "--checkpoint", type=FILE, multiple=True, help="Checkpoint to compare with (repeat)."
)
@click.option("proof_file", "--proof", type=FILE, help="Proof to verify instead, without the log.")
@click.option("agreement_file", "--agreement", type=FILE, help="Agreement with the keys of the signers.")
@click.option("key_files", "--keys", type=FILE, multiple=True, help="Key file of a signer (repeat).")
@json_option
def audit_verify(
    log: Path | None,
    checkpoint_files: tuple[Path, ...],
    proof_file: Path | None,
    agreement_file: Path | None,
    key_files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Verify LOG against its own record and the checkpoints that you and others kept; or verify a proof without it.

    Exit code 0: nothing is wrong. 1: something is. 2: the call has to be corrected.

    \b
    Example:  tallystick audit verify police.audit --checkpoint october.checkpoint --agreement agreement.yaml
    """
    from governance.audit.checkpoint import read_checkpoint
    from governance.audit.log import AuditLog
    from governance.audit.show import verification_dict, verification_text
    from governance.audit.verify import verify_log

    if (log is None) == (proof_file is None):
        raise click.UsageError("Name the log, or --proof and its checkpoints.")
    known = _known(agreement_file, key_files)
    if checkpoint_files and not known:
        raise click.UsageError(
            "A checkpoint is verified with the keys of its signer: give --agreement or --keys."
        )
    checkpoints = [(str(path), read_checkpoint(path, known)) for path in checkpoint_files]
    if proof_file is not None:
        _verify_proof(proof_file, [made for _, made in checkpoints], as_json)
        return
    assert log is not None  # noqa: S101 - one of the two is given
    result = verify_log(AuditLog(log), checkpoints)
    if as_json:
        emit(verification_dict(result))
    else:
        click.echo(verification_text(result, str(log)))
    if result.problems:
        raise click.exceptions.Exit(1)


@audit.command("prove")
@click.argument("log", type=FILE)
@click.option("--entry", type=click.IntRange(min=0), help="Prove that this entry is in the log.")
@click.option("old_file", "--from", type=FILE, help="Prove that the log continues this earlier checkpoint.")
@click.option("new_file", "--to", type=FILE, required=True, help="Checkpoint that the proof leads to.")
@click.option("agreement_file", "--agreement", type=FILE, help="Agreement with the keys of the signers.")
@click.option("key_files", "--keys", type=FILE, multiple=True, help="Key file of a signer (repeat).")
@out_option("Proof to create.")
def audit_prove(
    log: Path,
    entry: int | None,
    old_file: Path | None,
    new_file: Path,
    agreement_file: Path | None,
    key_files: tuple[Path, ...],
    out: Path,
) -> None:
    """Prove that an entry is in the log, or that the log only grew, to somebody who does not hold the log.

    \b
    Example:  tallystick audit prove police.audit --entry 17 --to november.checkpoint \\
                  --agreement agreement.yaml --out entry17.proof
    """
    from governance.audit.checkpoint import read_checkpoint
    from governance.audit.log import AuditLog
    from governance.audit.proof import (
        ConsistencyProof,
        InclusionProof,
        proof_bytes,
        prove_consistency,
        prove_inclusion,
    )
    from schemas.atomic import atomic_write

    if (entry is None) == (old_file is None):
        raise click.UsageError("Give --entry or --from.")
    known = _known(agreement_file, key_files)
    later, opened = read_checkpoint(new_file, known), AuditLog(log)
    proof: InclusionProof | ConsistencyProof
    if old_file is not None:
        earlier = read_checkpoint(old_file, known)
        proof = prove_consistency(opened, earlier.size, later.size)
        proof.verify(earlier, later)
    else:
        assert entry is not None  # noqa: S101 - checked above
        proof = prove_inclusion(opened, entry, later.size)
        proof.verify(later)
    atomic_write(out, proof_bytes(proof))
    click.echo(f"{out}: {len(proof.path)} hashes. Verify it with: tallystick audit verify --proof {out}")


@audit.command("checkpoint")
@click.argument("log", type=FILE)
@click.option(
    "key_file", "--key", type=FILE, required=True, help="Key file of the organisation whose log it is."
)
@click.option(
    "previous",
    "--previous",
    type=FILE,
    multiple=True,
    help="Earlier checkpoint that must still hold (repeat).",
)
@out_option("Checkpoint to create, for the other parties to keep.")
def audit_checkpoint(log: Path, key_file: Path, previous: tuple[Path, ...], out: Path) -> None:
    """Verify the whole log, then sign how many entries it has and their root. The signing is itself recorded.

    \b
    Example:  tallystick audit checkpoint police.audit --key police.key --out november.checkpoint
    """
    from governance.audit.access import path_digest, user_name
    from governance.audit.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
    from governance.audit.entry import Artefact, Event
    from governance.audit.log import AuditLog
    from governance.audit.show import verification_text
    from governance.audit.verify import verify_log
    from schemas.errors import LogAltered
    from schemas.identity import load_identity

    refuse_existing(out)
    opened = AuditLog(log)
    opened.require_writable()
    identity = load_identity(key_file, passphrase("your key file"))
    known = {identity.party: identity.public}
    result = verify_log(opened, [(str(path), read_checkpoint(path, known)) for path in previous])
    if result.problems:
        raise LogAltered(
            "nothing was signed:\n" + verification_text(result, str(log)),
            remedy="Find out what happened first.",
        )
    now = datetime.now(UTC).replace(microsecond=0)
    checkpoint = Checkpoint(
        log=opened.log_id, organisation=opened.organisation, size=result.size, root=result.root, time=now
    )
    write_checkpoint(out, checkpoint, identity)
    opened.append(
        Event(
            action="sign",
            user=user_name(),
            organisation=opened.organisation,
            purpose="audit",
            reason="Checkpoint of this log.",
            counts={"entries": result.size},
            artefacts=[Artefact(kind="checkpoint", digest=path_digest(out))],
        ),
        now=now,
    )
    click.echo(
        f"{out}: {result.size:,} entries. Send it to the other parties; they compare it with the next one."
    )


@audit.command("forget")
@click.argument("log", type=FILE)
@click.option("--refs", type=FILE, required=True, help="File with the references of the people, one a line.")
def audit_forget(log: Path, refs: Path) -> None:
    """Make the audit log forget people: delete the salts by which entries could be tied to them. It still verifies.

    \b
    Example:  tallystick audit forget police.audit --refs erase.txt
    """
    from governance.audit.log import AuditLog
    from governance.audit.salts import subject_of_ref
    from governance.audit.show import read_refs

    opened = AuditLog(log)
    count = opened.forget([subject_of_ref(opened.organisation, ref) for ref in read_refs(refs)])
    click.echo(
        f"{count:,} commitments can no longer be tied to anybody. The entries stay, and the log verifies."
    )


def _known(agreement_file: Path | None, key_files: tuple[Path, ...]) -> dict[str, Any]:
    from governance.agreement import load_agreement
    from schemas.identity import load_public

    known = {} if agreement_file is None else dict(load_agreement(agreement_file).identities)
    for path in key_files:
        found = load_public(path)
        if known.setdefault(found.party, found) != found:
            raise InputError(f"two different keys are given for {found.party}.", where=str(path))
    return known


def _verify_proof(path: Path, checkpoints: list[Any], as_json: bool) -> None:
    from governance.audit.proof import InclusionProof, read_proof
    from governance.audit.show import shown

    proof = read_proof(path)
    wanted = 1 if isinstance(proof, InclusionProof) else 2
    if len(checkpoints) != wanted:
        raise AuditIncomplete(
            f"this proof is verified with {wanted} checkpoint(s).",
            where=str(path),
            remedy="Give --checkpoint: for an entry the one it leads to, else the earlier and the later.",
        )
    if isinstance(proof, InclusionProof):
        proof.verify(checkpoints[0])
        said: Iterator[str] = iter(
            [f"Entry {proof.entry.n} is in the log of this checkpoint:", shown(proof.entry)]
        )
        facts = {"valid": True, "kind": "inclusion", "entry": proof.entry.to_dict(), "size": proof.size}
    else:
        earlier, later = sorted(checkpoints, key=lambda made: made.size)
        proof.verify(earlier, later)
        said = iter([f"The log of {proof.size:,} entries continues the one of {proof.old:,}: it only grew."])
        facts = {"valid": True, "kind": "consistency", "old_size": proof.old, "size": proof.size}
    if as_json:
        emit(facts)
    else:
        click.echo("\n".join(said))
