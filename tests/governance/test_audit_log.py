"""The log on disk: what is appended stays, and whatever else happens to the file is found."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import governance.audit.log
from governance.audit.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from governance.audit.entry import (
    MAX_LINE,
    MAX_LIST,
    OUTCOMES,
    Artefact,
    Entry,
    Event,
    fields_of,
    parse_line,
    place_of,
)
from governance.audit.log import AuditLog
from governance.audit.merkle import leaf_hash, range_roots
from governance.audit.proof import parse_proof, proof_bytes, prove_consistency, prove_inclusion
from governance.audit.salts import subject_of_number, subject_of_ref
from governance.audit.verify import LISTED, verify_log
from schemas.canonical import bytes_digest, canonical_json
from schemas.errors import (
    AuditError,
    AuditIncomplete,
    CheckpointInvalid,
    LogAltered,
    LogTruncated,
    OutputError,
    ProofInvalid,
)
from schemas.identity import PrivateIdentity

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
OPEN = Event(
    action="open", user="a.analyst", organisation="police", purpose="safeguarding", reason="Weekly refresh"
)
SIGNER = PrivateIdentity.generate("police")
KNOWN = {"police": SIGNER.public}


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    """A log with its beginning and five entries."""
    made = AuditLog.create(tmp_path / "police.audit", organisation="police", user="a.analyst", now=NOW)
    for _ in range(5):
        made.append(OPEN, now=NOW)
    return made


def signed(log: AuditLog, size: int | None = None) -> Checkpoint:
    """Return a checkpoint of the log as it is."""
    count, root = log.head()
    if size is not None:
        count, root = size, range_roots(log.leaves(), [(0, size)])[0]
    made = Checkpoint(log=log.log_id, organisation="police", size=count, root=root, time=NOW)
    return parse_checkpoint(sign_checkpoint(made, SIGNER), KNOWN, where="test")


def lines_of(log: AuditLog) -> list[bytes]:
    """Return the lines of the file with their ends."""
    return log.path.read_bytes().splitlines(keepends=True)


def rewrite(log: AuditLog, lines: list[bytes]) -> None:
    """Write the log as an attacker would, who also deletes the stored state."""
    log.path.write_bytes(b"".join(lines))
    (log.path.parent / (log.path.name + ".state")).unlink(missing_ok=True)


def kinds(log: AuditLog, *checkpoints: Checkpoint) -> set[str]:
    """Return the kinds of problem that verifying finds."""
    return {
        found.kind
        for found in verify_log(log, [(f"c{n}", made) for n, made in enumerate(checkpoints)]).problems
    }


def test_appending_only_adds(log: AuditLog) -> None:
    """An append leaves every earlier byte alone, numbers the entry, and the tree grows with it."""
    before = log.path.read_bytes()
    earlier = signed(log)
    made = log.append(OPEN, now=NOW + timedelta(days=1))
    assert made.n == 6
    assert log.path.read_bytes().startswith(before)
    last = list(log.entries())[-1]
    assert (last.n, last.event, last.time) == (6, OPEN, NOW + timedelta(days=1))
    assert verify_log(log, [("earlier", earlier)]).problems == ()
    assert log.head() == (7, range_roots(log.leaves(), [(0, 7)])[0])


def test_stored_state_is_only_a_convenience(log: AuditLog) -> None:
    """Without its state, or with a damaged one, the log goes on with the same root."""
    state = log.path.with_name(log.path.name + ".state")
    expected = log.head()
    for damage in (b"", b"{}", b"\xff", canonical_json({"format": "tallystick-audit-state", "log": "other"})):
        state.write_bytes(damage)
        assert log.head() == expected
    state.unlink()
    assert log.head() == expected


def test_append_reads_no_earlier_line(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the stored state an append looks at no line but its own."""
    looked: list[bytes] = []
    monkeypatch.setattr(governance.audit.log, "place_of", lambda line: looked.append(line) or place_of(line))
    log.append(OPEN, now=NOW)
    assert looked == []


def test_every_edit_is_found(log: AuditLog) -> None:
    """Any entry that is edited, whichever it is, no longer fits the checkpoint or the state."""
    checkpoint, lines = signed(log), lines_of(log)
    for at in range(1, len(lines)):
        edited = [*lines[:at], lines[at].replace(b"Weekly", b"Yearly"), *lines[at + 1 :]]
        log.path.write_bytes(b"".join(edited))
        assert kinds(log) == {"edited"}, "the stored state alone"
        rewrite(log, edited)
        assert kinds(log, checkpoint) == {"edited"}
        assert kinds(log) == set(), "nobody can tell without a checkpoint"
        log.path.write_bytes(b"".join(lines))
        log.head()


def test_truncation_is_found_and_stops_the_next_entry(log: AuditLog) -> None:
    """Entries that are gone are found by the state, by a checkpoint, and before anything is appended."""
    checkpoint, lines = signed(log), lines_of(log)
    log.path.write_bytes(b"".join(lines[:-2]))
    assert kinds(log) == {"truncated"}
    with pytest.raises(LogTruncated, match="some of them are gone"):
        log.append(OPEN, now=NOW)
    assert lines_of(log) == lines[:-2]
    rewrite(log, lines[:-2])
    assert kinds(log, checkpoint) == {"truncated"}


def test_a_line_cut_short_inside_the_state_is_truncation(log: AuditLog) -> None:
    """A last line that was whole once and lost its end is no crash."""
    data = log.path.read_bytes()
    log.path.write_bytes(data[:-1])
    with pytest.raises(LogTruncated):
        log.append(OPEN, now=NOW)


def test_reordering_is_found_without_any_checkpoint(log: AuditLog) -> None:
    """Entries that changed places, were taken out or put in twice no longer have the number of their place."""
    lines = lines_of(log)
    for moved in (
        [*lines[:2], lines[3], lines[2], *lines[4:]],
        [*lines[:2], *lines[3:]],
        [*lines[:3], lines[2], *lines[3:]],
    ):
        rewrite(log, moved)
        assert "reordered" in kinds(log)
        with pytest.raises(LogAltered):
            log.append(OPEN, now=NOW)


def test_fork_is_found(log: AuditLog, tmp_path: Path) -> None:
    """Two histories with one beginning cannot both satisfy the checkpoints that were given out."""
    other = tmp_path / "other.audit"
    other.write_bytes(log.path.read_bytes())
    branch = AuditLog(other)
    log.append(OPEN, now=NOW)
    branch.append(OPEN, now=NOW + timedelta(seconds=1))
    ours, theirs = signed(log), signed(branch)
    assert kinds(log, ours, theirs) == {"forked", "edited"}
    assert kinds(branch, theirs) == set()
    with pytest.raises(ProofInvalid, match="rewritten or forked"):
        prove_consistency(branch, 7, 7).verify(ours, theirs)


def test_entries_of_another_log_are_found(log: AuditLog, tmp_path: Path) -> None:
    """An entry taken from another log, and a checkpoint of another log, are named as such."""
    other = AuditLog.create(tmp_path / "other.audit", organisation="police", user="x", now=NOW)
    other.append(OPEN, now=NOW)
    rewrite(log, [*lines_of(log)[:1], lines_of(other)[1], *lines_of(log)[2:]])
    assert kinds(log) == {"other log"}
    assert kinds(other, signed(log, 1)) == {"other log"}


def test_verify_counts_all_faults_and_lists_some(log: AuditLog) -> None:
    """A file full of rubbish gives a bounded list and the whole count."""
    rewrite(log, [*lines_of(log), *(b"rubbish\n" for _ in range(3 * LISTED))])
    found = verify_log(log)
    assert found.faulty == 3 * LISTED
    assert len(found.problems) == LISTED


def test_torn_last_line_is_recorded_and_removed(log: AuditLog) -> None:
    """What a crash leaves of a line is replaced by an entry that says how much it was and what its digest is."""
    torn = lines_of(log)[-1][:100]
    before = log.path.read_bytes()
    with log.path.open("ab") as stream:
        stream.write(torn)
    found = verify_log(log)
    assert (found.torn, found.problems) == (100, ())
    made = log.append(OPEN, now=NOW)
    assert made.n == 7
    assert log.path.read_bytes().startswith(before)
    repair = list(log.entries())[6].event
    assert (repair.action, repair.counts) == ("repair", {"bytes": 100})
    assert repair.artefacts[0].digest == bytes_digest(torn)
    assert verify_log(log).problems == ()


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(1, 200), again=st.integers(0, 200))
def test_crash_at_any_byte_and_again_during_the_repair(
    tmp_path_factory: pytest.TempPathFactory, cut: int, again: int
) -> None:
    """Wherever writing stops, and wherever the repair stops too, no entry is lost and what was torn is told."""
    log = AuditLog.create(tmp_path_factory.mktemp("torn") / "log", organisation="police", user="x", now=NOW)
    log.append(OPEN, now=NOW)
    whole = log.path.read_bytes()
    with log.path.open("ab") as stream:
        stream.write(b"x" * cut)
    crashed = log.path.read_bytes()
    log.append(OPEN, now=NOW)
    repaired = log.path.read_bytes()
    # The repair itself stops: some of its bytes are there, the rest is what stood there before.
    stopped = repaired[: len(whole) + again] + crashed[len(whole) + again :]
    log.path.write_bytes(stopped)
    log.path.with_name("log.state").unlink()
    log.append(OPEN, now=NOW)
    assert verify_log(log).problems == ()
    assert log.path.read_bytes().startswith(whole)
    assert any(entry.event.action == "repair" for entry in log.entries())


def test_overlong_rubbish_is_no_torn_line(log: AuditLog) -> None:
    """More bytes than a line can have were not left by a crash."""
    with log.path.open("ab") as stream:
        stream.write(b"x" * (MAX_LINE + 5))
    assert kinds(log) == {"not an entry"}
    with pytest.raises(LogAltered, match="longer than an entry"):
        log.append(OPEN, now=NOW)


def test_full_disk_leaves_the_log_as_it_was(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """When an entry cannot be flushed the caller is told, and the log stays one that can be appended to."""
    before = log.head()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(governance.audit.log.os, "fsync", full)
        with pytest.raises(OutputError, match="not recorded"):
            log.append(OPEN, now=NOW)
    log.append(OPEN, now=NOW)
    assert log.head()[0] >= before[0] + 1
    assert verify_log(log).problems == ()


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from governance.audit.entry import Event
from governance.audit.log import AuditLog
for _ in range(25):
    AuditLog(Path(sys.argv[1])).append(
        Event(action="open", user=sys.argv[2], organisation="police", purpose="p", reason="r"),
        now=datetime(2026, 11, 22, tzinfo=UTC),
    )
"""


def test_processes_share_a_log(log: AuditLog) -> None:
    """Entries of several processes at once are all there, each whole and in its place."""
    root = Path(__file__).parents[2]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(log.path), name], cwd=root)
        for name in ("a", "b", "c")
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    users = [entry.event.user for entry in log.entries()]
    assert [users.count(name) for name in ("a", "b", "c")] == [25, 25, 25]
    assert verify_log(log).problems == ()


def test_forgetting_a_subject_keeps_the_tree(log: AuditLog) -> None:
    """With its salt an entry is found by its subject; without it nobody can tell, and the log still verifies."""
    alice, bob = subject_of_ref("police", "CASE-1"), subject_of_ref("police", "CASE-2")
    made = log.append(OPEN, now=NOW, subjects=[alice, bob])
    again = log.append(OPEN, now=NOW, subjects=[alice])
    checkpoint = signed(log)
    assert log.salts.matching(log.log_id, [alice]) == {made.commitments[0].value, again.commitments[0].value}
    assert made.commitments[0].value != again.commitments[0].value, "one salt each"
    before = log.path.read_bytes()
    assert log.forget([alice]) == 2
    assert log.salts.matching(log.log_id, [alice]) == set()
    assert log.salts.matching(log.log_id, [bob]) == {made.commitments[1].value}
    assert log.path.read_bytes() == before
    assert verify_log(log, [("c", checkpoint)]).problems == ()
    assert log.forget([alice]) == 0


def test_salts_stand_apart_from_the_log(log: AuditLog) -> None:
    """No salt stands in the log, and the file of salts is for its owner only; a subject in plain is in neither."""
    log.append(OPEN, now=NOW, subjects=[subject_of_ref("police", "CASE-77")])
    salts = log.path.with_name(log.path.name + ".salts")
    (kept,) = [json.loads(line) for line in salts.read_text().splitlines()]
    assert kept["salt"] not in log.path.read_text()
    assert "CASE-77" not in log.path.read_text() + salts.read_text()
    if sys.platform != "win32":
        assert salts.stat().st_mode & 0o077 == 0


def test_subjects_of_agencies_and_runs_are_apart() -> None:
    """The same reference at another agency, or number in another run, is another subject."""
    values = {
        subject_of_ref("police", "1"),
        subject_of_ref("health", "1"),
        subject_of_number("2026-11", "police", 1),
        subject_of_number("2026-12", "police", 1),
        subject_of_number("2026-11", "police", 11),
    }
    assert len(values) == 5


def test_damaged_salts_are_told(log: AuditLog) -> None:
    """A file of salts that is none is an error that quotes nothing of it."""
    log.path.with_name(log.path.name + ".salts").write_text('{"commitment":"canary"}\n')
    with pytest.raises(AuditError) as told:
        log.forget([b"x"])
    assert "canary" not in str(told.value)


@pytest.mark.parametrize(
    ("reason", "holds"),
    [
        ("Look up 943 476 5919", "a long number"),
        ("for 9434765919", "a long number"),
        ("family at LS6 3AB", "a postcode"),
        ("ls63ab again", "a postcode"),
        ("born 04/03/1990", "a full date"),
        ("born 1990-03-04", "a full date"),
        ("born 4 March 1990", "a full date"),
        ("rang 01632 960 999", "a long number"),
        ("from j.smith@example.org", "an e-mail address"),
        ("token 00112233445566778899aabbccddeeff", "a key or a token"),
        ("uprn 100023336956", "a long number"),
        ("asked by Mary Smith", "a person's name"),
    ],
)
def test_reasons_with_identifiers_are_refused(log: AuditLog, reason: str, holds: str) -> None:
    """A reason that seems to hold an identifier is refused, the message does not repeat it, nothing is written."""
    before = log.path.read_bytes()
    with pytest.raises(AuditIncomplete) as told:
        log.append(Event(action="open", user="x", organisation="police", purpose="p", reason=reason), now=NOW)
    assert holds in str(told.value)
    assert reason not in str(told.value)
    assert log.path.read_bytes() == before


@pytest.mark.parametrize(
    "reason",
    [
        "Monthly refresh",
        "CASE-2026-0042",
        "Strategy meeting 3, team 12",
        "Run 2026-11, second try",
        "MASH 1/2",
    ],
)
def test_ordinary_reasons_are_taken(log: AuditLog, reason: str) -> None:
    """Case numbers, months and team names are no identifiers."""
    log.append(Event(action="open", user="x", organisation="police", purpose="p", reason=reason), now=NOW)


def test_run_ids_may_be_dates_but_no_nhs_numbers(log: AuditLog) -> None:
    """A run named by its day or minute is fine; one named by a valid NHS number is not."""
    for run in ("2026-11-22", "20261122", "202611220930"):
        log.append(
            Event(action="link", user="x", organisation="police", purpose="p", reason="r", run=run), now=NOW
        )
    with pytest.raises(AuditIncomplete, match="an NHS number"):
        log.append(
            Event(action="link", user="x", organisation="police", purpose="p", reason="r", run="9434765919"),
            now=NOW,
        )


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30)
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
EVENTS = st.builds(
    Event,
    action=st.sampled_from(("open", "seal", "privacy-audit")),
    outcome=st.sampled_from(OUTCOMES),
    of=st.none() | st.integers(0, 9),
    user=TEXT,
    organisation=st.just("") | NAMES,
    purpose=st.just("") | NAMES,
    reason=TEXT,
    agreement=st.none() | st.just("sha256:" + "a" * 64),
    run=st.none() | NAMES,
    counts=st.dictionaries(NAMES, st.integers(0, 2**53 - 1), max_size=3),
    artefacts=st.lists(st.builds(Artefact, kind=NAMES, digest=st.just("salted:" + "0" * 64)), max_size=3),
    subjects=st.lists(st.just("salted:" + "1" * 64), max_size=3),
    detail=st.none() | TEXT.filter(bool),
)


@settings(deadline=None)
@given(EVENTS)
def test_entries_go_there_and_back(event: Event) -> None:
    """An entry is read as it was written, and its line is the canonical JSON of its value."""
    entry = Entry(log="0" * 32, n=10, time=NOW, event=event)
    line = entry.to_line()
    assert line == canonical_json(entry.to_dict()) + b"\n"
    assert parse_line(line).to_dict() == entry.to_dict()
    assert place_of(line) == ("0" * 32, 10)


@settings(deadline=None)
@given(EVENTS, st.data())
def test_the_fast_check_is_the_slow_one(event: Event, data: st.DataObject) -> None:
    """A line with any few bytes changed passes the fast check just when it passes the slow one."""
    line = bytearray(Entry(log="0" * 32, n=10, time=NOW, event=event).to_line())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(line) - 1))
        line[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from(
                [b"", b" ", b'"', b"0", b"9", b"\\", b"\\n", b",", b"\xc3", b"null", b"-1", b"1.0", b"\n"]
            )
        )
    try:
        slow = fields_of(bytes(line))
        expected: tuple[str, int] | None = (slow["log"], slow["n"])
    except AuditError:
        expected = None
    try:
        found: tuple[str, int] | None = place_of(bytes(line))
    except AuditError:
        found = None
    assert found == expected


def test_entries_have_limits(log: AuditLog) -> None:
    """Names, texts and lists beyond their limits are refused with the field's name."""
    base = {"action": "open", "user": "x", "organisation": "police", "purpose": "p", "reason": "r"}
    for changed, where in (
        ({"reason": "x " * 201}, "reason"),
        ({"user": "x " * 65}, "user"),
        ({"user": "a\nb"}, "user"),
        ({"action": "Open It"}, "action"),
        ({"outcome": "perhaps"}, "outcome"),
        ({"counts": {"people": -1}}, "counts"),
        ({"of": 99}, "of"),
        ({"subjects": ["salted:" + "0" * 64] * (MAX_LIST + 1)}, "subjects"),
        ({"agreement": "md5:1"}, "agreement"),
    ):
        with pytest.raises(AuditError) as told:
            log.append(Event(**{**base, **changed}), now=NOW)
        assert told.value.where == where


def test_a_log_is_never_overwritten(log: AuditLog) -> None:
    """Beginning a log where there is one is refused; so is opening what is none."""
    with pytest.raises(OutputError, match="never overwritten"):
        AuditLog.create(log.path, organisation="police", user="x", now=NOW)
    other = log.path.with_name("other")
    other.write_bytes(lines_of(log)[1])
    with pytest.raises(LogAltered, match="not the beginning"):
        AuditLog(other)
    with pytest.raises(AuditError, match="audit new"):
        AuditLog(log.path.with_name("missing"))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 24), st.data())
def test_proofs_need_no_log(tmp_path_factory: pytest.TempPathFactory, size: int, data: st.DataObject) -> None:
    """Proof files of any entry and any earlier size verify against the checkpoints alone, and against no others."""
    log = AuditLog.create(tmp_path_factory.mktemp("proof") / "log", organisation="police", user="x", now=NOW)
    with log.path.open("ab") as stream:
        stream.writelines(Entry(log=log.log_id, n=n, time=NOW, event=OPEN).to_line() for n in range(1, size))
    entry, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    later, earlier = signed(log, size), signed(log, old)
    inclusion = parse_proof(proof_bytes(prove_inclusion(log, entry, size)))
    inclusion.verify(later)
    consistency = parse_proof(proof_bytes(prove_consistency(log, old, size)))
    consistency.verify(earlier, later)
    wrong = Checkpoint(log=later.log, organisation="police", size=size, root=leaf_hash(b"no"), time=NOW)
    for verify in (lambda: inclusion.verify(wrong), lambda: consistency.verify(earlier, wrong)):
        with pytest.raises(ProofInvalid):
            verify()


def test_there_is_no_proof_of_what_is_not_there(log: AuditLog) -> None:
    """Entries beyond the log and sizes it never had are refused."""
    for make in (
        lambda: prove_inclusion(log, 6, 6),
        lambda: prove_inclusion(log, 2, 9),
        lambda: prove_consistency(log, 7, 9),
    ):
        with pytest.raises(ProofInvalid):
            make()


def test_checkpoints_are_read_only_with_the_right_key(log: AuditLog) -> None:
    """A checkpoint signed by somebody else, in another's name, altered or incomplete is refused."""
    text = sign_checkpoint(signed(log), SIGNER)
    impostor = PrivateIdentity.generate("police")
    health = PrivateIdentity.generate("health")
    with pytest.raises(CheckpointInvalid, match="the key is one of health"):
        sign_checkpoint(signed(log), health)
    forged = sign_checkpoint(signed(log), impostor)
    for wrong in (
        forged,
        text.replace("Entries: 6", "Entries: 5"),
        text.replace("Organisation: police", "Organisation: health"),
        text.replace("\n\n", "\n"),
        text.split("\n\n")[0] + "\n\n",
        text + "more\n",
        text.replace("2026-11-22", "2026-13-22"),
    ):
        with pytest.raises(CheckpointInvalid):
            parse_checkpoint(wrong, {**KNOWN, "health": health.public}, where="x")


def test_checkpoints_can_be_read_by_people(log: AuditLog) -> None:
    """The signed lines say in words which log, whose, how many entries, which root and when."""
    text = sign_checkpoint(signed(log), SIGNER)
    head = text.split("\n\n")[0].splitlines()
    assert [line.split(":")[0] for line in head[1:]] == ["Log", "Organisation", "Entries", "Root", "Time"]
    assert head[3] == "Entries: 6"
