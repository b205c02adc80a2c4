"""Sex and gender codes to M, F or X."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from hashing.normalise._arrays import each, plain
from hashing.normalise.outcome import Normalised, Outcome
from schemas.errors import MappingError

_TARGETS = ("M", "F", "X", "U")
_WORDS = {
    "M": ("M", "MALE", "MAN", "BOY", "MALES", "CIS MALE", "TRANS MALE", "TRANS MAN", "MASCULINE"),
    "F": ("F", "FEMALE", "WOMAN", "GIRL", "FEMALES", "CIS FEMALE", "TRANS FEMALE", "TRANS WOMAN", "FEMININE"),
    "X": (
        *("X", "I", "O", "OTHER", "INDETERMINATE", "INTERSEX", "NON BINARY", "NONBINARY", "NB", "ENBY"),
        *("GENDERQUEER", "GENDER FLUID", "AGENDER"),
    ),
    "U": (
        *(
            "U",
            "UNKNOWN",
            "UNK",
            "NOT KNOWN",
            "NK",
            "NOT STATED",
            "NOT SPECIFIED",
            "NOT RECORDED",
            "NOT DISCLOSED",
        ),
        *(
            "NOT APPLICABLE",
            "NA",
            "N A",
            "NONE",
            "NULL",
            "UNDISCLOSED",
            "PREFER NOT TO SAY",
            "REFUSED",
            "Z",
            "TBC",
        ),
        *("NOT GIVEN", "UNSPECIFIED", "MISSING", "NOT PROVIDED", "UNBORN"),
    ),
}
# ISO/IEC 5218: 0 not known, 1 male, 2 female, 9 not applicable; NHS Data Dictionary, PERSON STATED GENDER
# CODE: 9 indeterminate. Both 0 and 9 are no evidence here.
_DIGITS = {"0": "U", "1": "M", "2": "F", "9": "U"}
_DEFAULT = {word: target for target, words in _WORDS.items() for word in words}


def _key(text: str) -> str:
    # Letters and digits of each word; "non-binary" and "Non binary" are one code.
    words = "".join(c if c.isalnum() else " " for c in text).split()
    code = " ".join(words)
    return code[:-2] if code.endswith(" 0") and code[:-2].isdigit() else code.lstrip("0") or code[:1]


def _table(codes: Mapping[str, str] | None) -> dict[str, str]:
    if codes is None:
        return _DEFAULT | _DIGITS
    wrong = sum(target.strip().upper() not in _TARGETS for target in codes.values())
    if wrong:
        raise MappingError(
            f"{wrong} of {len(codes)} sex codes map to something else than M, F, X or U.",
            where="codes of field sex",
            remedy="Map every code to M, F, X or U.",
        )
    own = plain(pa.array(list(codes), pa.string())).to_pylist()
    # Their numbers need not be those of ISO/IEC 5218, so only the words of the default list stand in.
    return _DEFAULT | {
        _key(code): target.strip().upper() for code, target in zip(own, codes.values(), strict=True)
    }


def normalise_sex(raw: pa.StringArray, *, codes: Mapping[str, str] | None) -> Normalised:
    """Normalise sex or gender codes.

    Args:
        raw: n raw values.
        codes: The list of the agreement, their code to M, F, X or U; None for words and ISO/IEC 5218 digits.
            Compared without case, punctuation and leading zeros.

    Returns:
        M, F or X; U and "not known" are MISSING.

    Raises:
        MappingError: A code maps to something else than M, F, X or U.
    """
    table = _table(codes)

    def rule(text: str) -> tuple[str | None, Outcome]:
        target = table.get(_key(text), "U" if not _key(text) else None)
        if target is None:
            return None, Outcome.INVALID
        return (None, Outcome.MISSING) if target == "U" else (target, Outcome.OK)

    return each(plain(raw), rule)
