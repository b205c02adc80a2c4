"""Failures of reading as findings: each class of package error belongs to the rule that it breaks."""

from __future__ import annotations

from governance.rules.base import Finding, Severity
from schemas import errors
from schemas.errors import TallystickError

_RULES: tuple[tuple[tuple[type[TallystickError], ...], str], ...] = (
    ((errors.SchemaMismatch, errors.DecompressionBomb, errors.UnknownPart), "P01"),
    ((errors.WrongLinkageSecret, errors.WrongNormaliser), "P05"),
    ((errors.UnsupportedVersion,), "P07"),
    ((errors.BadSignature, errors.UnknownSigner, errors.SignerNotParty), "P09"),
    ((errors.WrongSender, errors.WrongPurpose, errors.WrongRecipient, errors.WrongKind), "L01"),
    ((errors.WrongAgreement, errors.WrongRun), "L03"),
    ((errors.PackageError,), "L02"),
    ((errors.MappingError,), "M01"),
    ((errors.ExceptionInvalid,), "X01"),
    ((errors.AuditError,), "R01"),
    ((errors.NotInForce,), "D02"),
    ((errors.AgreementInvalid,), "D01"),
)
_WHY = {
    "P01": "docs/spec/package-v1.md; UK GDPR Art 5(1)(c)",
    "P05": "docs/spec/sealing-v1.md, known-answer values",
    "M01": "docs/guides/extracts.md, mapping.yaml",
    "X01": "Agreement, exceptions",
    "R01": "UK GDPR Art 5(2), accountability",
}


def rule_of(error: TallystickError) -> str:
    """Return the rule that a failure breaks."""
    return next((rule for classes, rule in _RULES if isinstance(error, classes)), "L02")


def finding_of(error: TallystickError, *, owner: str = "sender") -> Finding:
    """Return a failure as a finding that blocks, in its own words."""
    sentence = error.message[:1].upper() + error.message[1:]
    rule = rule_of(error)
    return Finding(
        rule=rule,
        severity=Severity.BLOCK,
        sentence=sentence,
        where=error.where or "",
        why=_WHY.get(rule, "docs/spec/package-v1.md; UK GDPR Art 5(1)(f)"),
        evidence=f"failure class {type(error).__name__}",
        fix=error.remedy or "Do not use the file. Ask the sender for a new one.",
        owner=owner,
    )
