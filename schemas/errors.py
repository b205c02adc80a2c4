"""The one error tree.

Every failure that a user can meet is a `TallystickError`. A message says what is wrong, `where` says in
which file, row, column or field path, and `remedy` says what to do next. None of the three ever holds an
identifier's value, a key or a token (tests/test_canary.py pushes canary values through every failure).
"""

from __future__ import annotations


class TallystickError(Exception):
    """Anything that Tallystick refuses to do.

    Attributes:
        message: What is wrong, in a plain sentence.
        where: File, row number, column or field path; never a value.
        remedy: What the reader can do next.
        exit_code: 1 when a rule blocked the work, 2 when the input or the call has to be corrected.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.message}" if self.where else self.message]
        if self.remedy:
            parts.append(self.remedy)
        return " ".join(parts)


# --- input that the user can correct: exit code 2 -------------------------------------------------------


class InputError(TallystickError):
    """An input that has to be corrected before the command can run."""

    exit_code = 2


class ExtractError(InputError):
    """An extract cannot be read, or lacks what the job needs."""


class MappingError(InputError):
    """A mapping file names something that does not exist, or is not well formed."""


class AgreementInvalid(InputError):
    """An agreement is not a valid document."""


class ModelInvalid(InputError):
    """A model file is not well formed, or not of this release."""


class NotInForce(TallystickError):
    """An agreement is a valid document but binds nobody today (rule D02)."""


class ComplianceBlocked(TallystickError):
    """Rules of compliance stop the work; the message lists every finding that blocks it."""


class ExceptionInvalid(InputError):
    """A signed exception is not well formed, or does not cover what it is shown for."""


class RulesInvalid(InputError):
    """Rules that an organisation adds of its own are not well formed."""


class OutputError(InputError):
    """An output cannot be written where the user asked."""


# --- keys and identities --------------------------------------------------------------------------------


class IdentityError(TallystickError):
    """A key file or an identity cannot be used."""


class WrongPassphrase(IdentityError):
    """The passphrase does not open this key file."""


class KeyFileInvalid(IdentityError):
    """The file is not a Tallystick key file, or was damaged, or holds another kind of key."""


class CeremonyError(IdentityError):
    """A step of the linkage-secret ceremony does not fit the others."""


class CommitmentBroken(CeremonyError):
    """A contribution is not the one that its agency committed to."""


class ContributionMissing(CeremonyError):
    """An agency's commitment or contribution is missing."""


class ContributionDoubled(CeremonyError):
    """An agency appears twice, or two agencies gave the same contribution."""


class WeakContribution(CeremonyError):
    """A contribution is not 32 random bytes."""


class SecretExpired(CeremonyError):
    """The linkage secret is past its last day, or not yet valid."""


# --- documents that are signed or digested ---------------------------------------------------------------


class NotCanonical(InputError):
    """A value has no canonical JSON form, or bytes are not the canonical form of their value."""


class EnvelopeInvalid(InputError):
    """A signature envelope is not well formed."""


# --- packages: one class a way of failing ---------------------------------------------------------------


class PackageError(TallystickError):
    """A package was refused."""


class NotAPackage(PackageError):
    """The file does not begin like a .tally package."""


class UnsupportedVersion(PackageError):
    """The package is of a format version that this release does not read."""


class WrongRecipient(PackageError):
    """The package is encrypted to somebody else."""


class Forwarded(WrongRecipient):
    """The signed content was made for another recipient or another package and was encrypted anew."""


class BadSignature(PackageError):
    """The signature does not fit the bytes."""


class UnknownSigner(PackageError):
    """The signing key belongs to nobody whom the reader knows."""


class SignerNotParty(PackageError):
    """The signer is known but is not the party that the manifest names as sender."""


class WrongSender(PackageError):
    """The package is genuine but comes from another party than the one expected."""


class WrongKind(PackageError):
    """The package is genuine but of another kind than the one expected."""


class WrongPurpose(PackageError):
    """The package was made for another purpose."""


class WrongAgreement(PackageError):
    """The package was made under another agreement, or another version of it."""


class WrongRun(PackageError):
    """The package was made for another run."""


class Replayed(PackageError):
    """The same package, or a second one from the same sender, was already taken in."""


class Truncated(PackageError):
    """The package ends early."""


class TrailingBytes(PackageError):
    """Something follows the end of the package."""


class Corrupted(PackageError):
    """A part of the package was altered or replaced."""


class ChunkReordered(Corrupted):
    """The chunks of the package are out of order, repeated or missing."""


class ManifestInvalid(PackageError):
    """The manifest of the package is not well formed, although its signature is good."""


class LimitExceeded(PackageError):
    """The package is larger, or has more parts, than the limits of the format allow."""


class UnknownPart(PackageError):
    """The package has no part of that name."""


class WrongLinkageSecret(PackageError):
    """The package was sealed with another linkage secret than its fellows."""


class WrongNormaliser(PackageError):
    """The package was sealed by another version of the normaliser than its fellows."""


class SchemaMismatch(PackageError):
    """The content does not have the columns and types of its schema."""


class DecompressionBomb(PackageError):
    """The content would unpack to more than its manifest declares or the limits allow."""


# --- linkage --------------------------------------------------------------------------------------------


class LinkageError(TallystickError):
    """A linkage run cannot go on."""


class UntrainedLevel(LinkageError):
    """A comparison level has no m or u probability, and no prior was given for it."""


# --- audit log and life cycle -----------------------------------------------------------------------------


class AuditError(TallystickError):
    """The audit log cannot be written or read, or something in it does not hold."""


class AuditIncomplete(InputError):
    """An access that has to be recorded does not say who, for whom, for what or why."""


class LogAltered(AuditError):
    """The log is not what it was: entries were edited, cut off, moved, or the log was forked."""


class LogTruncated(LogAltered):
    """Entries that the log held are gone."""


class ProofInvalid(AuditError):
    """A proof does not show what it claims."""


class CheckpointInvalid(AuditError):
    """A checkpoint is not well formed, or is not signed by a key of its organisation."""


class ErasureError(TallystickError):
    """An erasure cannot be done, or something of the subject is still there after it."""
