"""The linkage-secret ceremony: everyone contributes, nobody chooses, the linkage unit gets nothing."""

from __future__ import annotations

import ast
import itertools
import json
import pickle
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from package_forge import FOLDER

from hashing.ceremony import (
    Ceremony,
    Commitment,
    Contribution,
    LinkageSecret,
    check_value,
    combine,
    confirm,
    contribute,
    load_contribution,
    load_secret,
    next_ceremony,
    read_commitment,
    read_handover,
    read_reveal,
    save_contribution,
    save_secret,
    sign_commitment,
    write_handover,
    write_reveal,
)
from schemas.dsse import sign_payload
from schemas.errors import (
    CeremonyError,
    CommitmentBroken,
    ContributionDoubled,
    ContributionMissing,
    KeyFileInvalid,
    SecretExpired,
    UnknownSigner,
    WeakContribution,
    WrongPassphrase,
    WrongRecipient,
    WrongRun,
)
from schemas.identity import PrivateIdentity, load_identity

People = dict[str, PrivateIdentity]
NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
CEREMONY = Ceremony(
    agreement_digest="sha256:" + "1" * 64,
    epoch=1,
    parties=("health", "police", "stranger"),
    starts_on=date(2026, 1, 1),
    expires_on=date(2026, 12, 31),
)


def fixed(ceremony: Ceremony = CEREMONY) -> dict[str, Contribution]:
    """Contributions that are the same in every run of the tests."""
    return {
        party: Contribution(
            ceremony=ceremony, party=party, value=bytes(range(n, n + 32)), nonce=bytes([n]) * 32
        )
        for n, party in enumerate(ceremony.parties)
    }


def commitments(contributions: Iterable[Contribution]) -> list[Commitment]:
    """Return what each would publish."""
    return [contribution.commitment for contribution in contributions]


@pytest.fixture
def secret() -> LinkageSecret:
    """The secret of the fixed contributions."""
    given = fixed().values()
    return combine(CEREMONY, commitments=commitments(given), contributions=given)


def test_whole_ceremony(people: People, tmp_path: Path) -> None:
    """With real randomness and real files, every agency comes to the same secret and check value."""
    known = {party: people[party].public for party in CEREMONY.parties}
    own = {party: contribute(CEREMONY, party) for party in CEREMONY.parties}
    published = [
        read_commitment(
            json.loads(json.dumps(sign_commitment(own[party], people[party]))), known=known, ceremony=CEREMONY
        )
        for party in CEREMONY.parties
    ]
    for sender, receiver in itertools.permutations(CEREMONY.parties, 2):
        write_reveal(
            tmp_path / f"{sender}-{receiver}.tally",
            own[sender],
            commitments=published,
            sender=people[sender],
            recipient=known[receiver],
            created_at=NOW,
        )
    values = set()
    for receiver in CEREMONY.parties:
        received = [
            read_reveal(
                tmp_path / f"{sender}-{receiver}.tally",
                recipient=people[receiver],
                known=known,
                ceremony=CEREMONY,
                commitments=published,
            )
            for sender in CEREMONY.parties
            if sender != receiver
        ]
        made = combine(CEREMONY, commitments=published, contributions=[*received, own[receiver]])
        values.add((check_value(made), made.sealing_key()))
    assert len(values) == 1


def test_known_answer(secret: LinkageSecret) -> None:
    """The values beside the vectors, which an implementer in another language can reproduce."""
    vector = json.loads((FOLDER / "ceremony.json").read_text())
    assert vector["ceremony"] == CEREMONY.to_dict()
    assert vector["commitments"] == {c.party: c.value.hex() for c in commitments(fixed().values())}
    assert vector["check_value"] == check_value(secret)
    assert vector["sealing_key"] == secret.sealing_key().hex()


def test_order_does_not_matter(secret: LinkageSecret) -> None:
    """Whatever order files arrive in, the secret is the same."""
    for order in itertools.permutations(fixed().values()):
        again = combine(CEREMONY, commitments=commitments(order[::-1]), contributions=order)
        assert again.sealing_key() == secret.sealing_key()


def test_everything_matters(secret: LinkageSecret) -> None:
    """One bit of any contribution or nonce, or another agreement, epoch or date, gives another secret."""
    seen = {secret.sealing_key()}
    for party, changed in itertools.product(CEREMONY.parties, ("value", "nonce")):
        given = fixed()
        raw = {"value": given[party]._value, "nonce": given[party]._nonce}
        raw[changed] = bytes([raw[changed][0] ^ 1]) + raw[changed][1:]
        given[party] = Contribution(ceremony=CEREMONY, party=party, **raw)
        made = combine(CEREMONY, commitments=commitments(given.values()), contributions=given.values())
        seen.add(made.sealing_key())
    for other in (
        replace(CEREMONY, agreement_digest="sha256:" + "2" * 64),
        replace(CEREMONY, epoch=2),
        replace(CEREMONY, expires_on=date(2027, 1, 1)),
    ):
        given = fixed(other)
        seen.add(
            combine(
                other, commitments=commitments(given.values()), contributions=given.values()
            ).sealing_key()
        )
    assert len(seen) == 1 + 6 + 3


def test_missing_and_doubled() -> None:
    """Every agency exactly once, among commitments as among contributions."""
    given = list(fixed().values())
    for error, published, revealed in (
        (ContributionMissing, given[:-1], given),
        (ContributionMissing, given, given[:-1]),
        (ContributionDoubled, [*given, given[0]], given),
        (ContributionDoubled, given, [*given, given[0]]),
    ):
        with pytest.raises(error):
            combine(CEREMONY, commitments=commitments(published), contributions=revealed)


def test_changed_after_commitment() -> None:
    """A contribution that was exchanged after the commitment is refused: nobody chooses last."""
    given = fixed()
    published = commitments(given.values())
    given["police"] = contribute(CEREMONY, "police")
    with pytest.raises(CommitmentBroken):
        combine(CEREMONY, commitments=published, contributions=given.values())


def test_contribution_of_another_ceremony() -> None:
    """A contribution or commitment of another epoch does not fit."""
    given = fixed()
    old = fixed(replace(CEREMONY, epoch=2))
    with pytest.raises(CommitmentBroken):
        combine(
            CEREMONY,
            commitments=commitments(given.values()),
            contributions=[given["health"], given["police"], old["stranger"]],
        )
    with pytest.raises(CeremonyError):
        combine(CEREMONY, commitments=commitments(old.values()), contributions=given.values())


def test_copied_contribution() -> None:
    """Two agencies with the same contribution are refused, even when both committed to it."""
    given = fixed()
    given["police"] = Contribution(
        ceremony=CEREMONY, party="police", value=given["health"]._value, nonce=bytes(range(32))
    )
    with pytest.raises(ContributionDoubled):
        combine(CEREMONY, commitments=commitments(given.values()), contributions=given.values())


@pytest.mark.parametrize("value", [bytes(32), b"\xff" * 32, b"short", b"", bytes(range(33))])
def test_weak_contribution(value: bytes) -> None:
    """Zeros, one byte repeated, and other lengths are no contribution."""
    with pytest.raises(WeakContribution):
        Contribution(ceremony=CEREMONY, party="police", value=value, nonce=bytes(32))


def test_outsider() -> None:
    """The linkage unit has no part in a ceremony."""
    with pytest.raises(CeremonyError):
        contribute(CEREMONY, "unit")


def test_nothing_is_sealed_to_the_linkage_unit(people: People, tmp_path: Path, secret: LinkageSecret) -> None:
    """Neither a contribution nor the secret can be written to a party outside the ceremony."""
    given = fixed()
    unit = people["unit"].public
    with pytest.raises(CeremonyError):
        write_reveal(
            tmp_path / "a.tally",
            given["police"],
            commitments=commitments(given.values()),
            sender=people["police"],
            recipient=unit,
            created_at=NOW,
        )
    with pytest.raises(CeremonyError):
        write_handover(tmp_path / "b.tally", secret, sender=people["police"], recipient=unit, created_at=NOW)
    assert list(tmp_path.iterdir()) == []


def test_no_reveal_before_all_commitments(people: People, tmp_path: Path) -> None:
    """A contribution is not revealed before all committed, nor when the own commitment was exchanged."""
    given = fixed()
    other = contribute(CEREMONY, "police").commitment
    for error, published in (
        (ContributionMissing, commitments([given["police"], given["health"]])),
        (CommitmentBroken, [other, *commitments([given["health"], given["stranger"]])]),
    ):
        with pytest.raises(error):
            write_reveal(
                tmp_path / "a.tally",
                given["police"],
                commitments=published,
                sender=people["police"],
                recipient=people["health"].public,
                created_at=NOW,
            )
    with pytest.raises(CeremonyError):
        write_reveal(
            tmp_path / "a.tally",
            given["police"],
            commitments=commitments(given.values()),
            sender=people["health"],
            recipient=people["stranger"].public,
            created_at=NOW,
        )


@pytest.fixture
def revealed(people: People, tmp_path: Path) -> Path:
    """Police's contribution, sealed to health."""
    given = fixed()
    path = tmp_path / "reveal.tally"
    write_reveal(
        path,
        given["police"],
        commitments=commitments(given.values()),
        sender=people["police"],
        recipient=people["health"].public,
        created_at=NOW,
    )
    return path


def test_reveal_is_for_one_reader(revealed: Path, people: People) -> None:
    """Another agency, and the linkage unit, cannot open a contribution sealed to health."""
    known = {party: people[party].public for party in CEREMONY.parties}
    published = commitments(fixed().values())
    for reader in ("stranger", "unit"):
        with pytest.raises(WrongRecipient):
            read_reveal(
                revealed, recipient=people[reader], known=known, ceremony=CEREMONY, commitments=published
            )


def test_reveal_with_other_commitments(revealed: Path, people: People) -> None:
    """When an agency sent two versions of its commitment, the reveal shows that not all hold the same."""
    known = {party: people[party].public for party in CEREMONY.parties}
    given = fixed()
    given["stranger"] = contribute(CEREMONY, "stranger")
    with pytest.raises(CommitmentBroken):
        read_reveal(
            revealed,
            recipient=people["health"],
            known=known,
            ceremony=CEREMONY,
            commitments=commitments(given.values()),
        )


def test_reveal_of_another_epoch_or_sender(revealed: Path, people: People) -> None:
    """A reveal of an earlier epoch, or signed by a party outside the ceremony, is refused."""
    known = {party: people[party].public for party in CEREMONY.parties}
    later = replace(CEREMONY, epoch=2)
    with pytest.raises(WrongRun):
        read_reveal(
            revealed,
            recipient=people["health"],
            known=known,
            ceremony=later,
            commitments=commitments(fixed(later).values()),
        )
    without = replace(CEREMONY, parties=("health", "stranger"))
    with pytest.raises(UnknownSigner):
        read_reveal(
            revealed,
            recipient=people["health"],
            known=known,
            ceremony=without,
            commitments=commitments(fixed(without).values()),
        )


def test_commitments_are_signed(people: People) -> None:
    """A commitment counts only when its own agency signed it, for this ceremony."""
    known = {party: people[party].public for party in CEREMONY.parties}
    contribution = fixed()["police"]
    with pytest.raises(CeremonyError):
        sign_commitment(contribution, people["health"])
    envelope = sign_commitment(contribution, people["police"])
    with pytest.raises(CeremonyError):
        read_commitment(envelope, known={**known, "police": people["unit"].public}, ceremony=CEREMONY)
    with pytest.raises(CeremonyError):
        read_commitment(envelope, known=known, ceremony=replace(CEREMONY, epoch=2))
    for body in (
        b"{}",
        b"not json",
        b'{"ceremony":{},"commitment":"xx","party":"police"}',
        b'{"ceremony":{},"commitment":"00","party":"police"}',
        b'{"ceremony":{},"commitment":"' + b"00" * 32 + b'","party":"\\u001b[31m"}',
    ):
        other = sign_payload(str(envelope["payloadType"]), body, [people["police"]])
        with pytest.raises(CeremonyError) as caught:
            read_commitment(other, known=known, ceremony=CEREMONY)
        assert "\x1b" not in str(caught.value)


def test_commitment_hides_the_contribution() -> None:
    """The same contribution under another nonce has another commitment: guessing does not help."""
    one = Contribution(ceremony=CEREMONY, party="police", value=bytes(range(32)), nonce=bytes(32))
    two = Contribution(ceremony=CEREMONY, party="police", value=bytes(range(32)), nonce=b"\x01" * 32)
    assert one.commitment.value != two.commitment.value


def test_randomness_is_asked_for() -> None:
    """A contribution takes 32 bytes for its value and 32 for its nonce from the source it is given."""
    asked: list[int] = []

    def source(size: int) -> bytes:
        asked.append(size)
        return bytes(range(len(asked), len(asked) + size))

    contribute(CEREMONY, "police", random=source)
    assert asked == [32, 32]


def test_confirm(secret: LinkageSecret) -> None:
    """The check value is compared whatever the spacing, and a wrong digit is noticed."""
    value = check_value(secret)
    confirm(secret, value.replace(" ", "-"))
    confirm(secret, value.replace(" ", ""))
    wrong = value[:-1] + str((int(value[-1]) + 1) % 10)
    for spoken in (wrong, "", value[:11]):
        with pytest.raises(CeremonyError) as caught:
            confirm(secret, spoken)
        assert value not in str(caught.value)


def test_lost_copy(secret: LinkageSecret, people: People, tmp_path: Path) -> None:
    """An agency that lost its copy gets it from a second and confirms it with a third."""
    known = {party: people[party].public for party in CEREMONY.parties}
    path = tmp_path / "handover.tally"
    write_handover(path, secret, sender=people["police"], recipient=known["health"], created_at=NOW)
    again = read_handover(
        path, recipient=people["health"], known=known, ceremony=CEREMONY, spoken=check_value(secret)
    )
    assert again.sealing_key() == secret.sealing_key()
    with pytest.raises(CeremonyError):
        read_handover(path, recipient=people["health"], known=known, ceremony=CEREMONY, spoken="12345")
    longer = replace(CEREMONY, expires_on=date(2030, 1, 1))
    with pytest.raises(CeremonyError):
        read_handover(
            path, recipient=people["health"], known=known, ceremony=longer, spoken=check_value(secret)
        )


def test_rotation_and_leaving(secret: LinkageSecret) -> None:
    """The next epoch keeps or changes its agencies; the old secret tells nothing of the new one's parties."""
    dates = {"starts_on": date(2027, 1, 1), "expires_on": date(2027, 12, 31)}
    rotated = next_ceremony(CEREMONY, agreement_digest=CEREMONY.agreement_digest, **dates)
    assert (rotated.epoch, rotated.parties) == (2, CEREMONY.parties)
    left = next_ceremony(
        CEREMONY, agreement_digest="sha256:" + "2" * 64, parties=["police", "health"], **dates
    )
    assert left.parties == ("health", "police")
    given = fixed(left)
    made = combine(left, commitments=commitments(given.values()), contributions=given.values())
    assert made.sealing_key() != secret.sealing_key()
    with pytest.raises(CeremonyError):
        contribute(left, "stranger")


@pytest.mark.parametrize(
    ("day", "state"),
    [
        (date(2025, 12, 31), "not yet valid"),
        (date(2026, 1, 1), "current"),
        (date(2026, 10, 19), "current"),
        (date(2026, 10, 20), "expiring"),
        (date(2026, 12, 31), "expiring"),
        (date(2027, 1, 1), "expired"),
    ],
)
def test_expiry(secret: LinkageSecret, day: date, state: str) -> None:
    """A secret may be used from its first to its last day, and is expiring from 80% of its 365 days (292)."""
    assert secret.state(day) == state
    if state in ("current", "expiring"):
        secret.require_usable(day)
    else:
        with pytest.raises(SecretExpired):
            secret.require_usable(day)


@pytest.mark.parametrize(
    "change",
    [
        {"parties": ("police",)},
        {"parties": ("police", "health")},
        {"parties": ("health", "health")},
        {"parties": ("A", "b")},
        {"epoch": 0},
        {"expires_on": date(2025, 1, 1)},
    ],
)
def test_bad_ceremony(change: dict[str, object]) -> None:
    """A ceremony has two or more agencies in order, an epoch, and an end after its start."""
    with pytest.raises(CeremonyError):
        replace(CEREMONY, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", [None, {}, [], {**CEREMONY.to_dict(), "epoch": "1"}, {**CEREMONY.to_dict(), "starts_on": "soon"}]
)
def test_malformed_ceremony(value: object) -> None:
    """JSON that does not describe a ceremony is refused."""
    with pytest.raises(CeremonyError):
        Ceremony.from_dict(value)  # type: ignore[arg-type]


def test_saved_secret_and_contribution(secret: LinkageSecret, tmp_path: Path) -> None:
    """Both come back with the passphrase, not without it, and one is not taken for the other."""
    path, other = tmp_path / "secret.key", tmp_path / "contribution.key"
    save_secret(secret, path, b"pass", "tests-only")
    again = load_secret(path, b"pass")
    assert (again.sealing_key(), again.ceremony) == (secret.sealing_key(), CEREMONY)
    with pytest.raises(WrongPassphrase):
        load_secret(path, b"other")
    contribution = fixed()["police"]
    save_contribution(contribution, other, b"pass", "tests-only")
    assert load_contribution(other, b"pass").commitment == contribution.commitment
    with pytest.raises(KeyFileInvalid):
        load_secret(other, b"pass")
    with pytest.raises(KeyFileInvalid):
        load_identity(path, b"pass")


def test_secrets_do_not_print_or_pickle(secret: LinkageSecret) -> None:
    """Neither a secret nor a contribution prints or pickles its bytes."""
    contribution = fixed()["police"]
    assert repr(secret) == "LinkageSecret(epoch=1, value hidden)"
    assert repr(contribution) == "Contribution(party='police', epoch=1, value hidden)"
    for hidden in (secret, contribution):
        with pytest.raises(TypeError):
            pickle.dumps(hidden)


def test_wrong_length_secret() -> None:
    """A linkage secret has 32 bytes."""
    with pytest.raises(CeremonyError):
        LinkageSecret(ceremony=CEREMONY, value=b"short")


def test_linkage_unit_cannot_import_it() -> None:
    """No module of the linkage unit, nor of the schemas it shares, imports anything of the agencies' side."""
    root = Path(__file__).parents[2]
    for path in [*root.glob("linkage/**/*.py"), *root.glob("schemas/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "hashing" for name in names), path
