"""NHS numbers and UPRNs."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashing.native import columns
from hashing.normalise import _words
from hashing.normalise._arrays import (
    ALNUM,
    DIGITS,
    SPACE,
    Column,
    Mask,
    byte_class,
    finish,
    is_in,
    plain,
    same_character,
    start_outcomes,
)
from hashing.normalise.outcome import Normalised, Outcome

# Position weights of the check digit: NHS Data Dictionary, "NHS NUMBER", modulus 11 algorithm.
_NHS_WEIGHTS = np.arange(10, 1, -1, dtype=np.int64)
_NHS_LENGTH = 10
# Numbers printed as examples in NHS documentation and counting sequences: nobody's own number.
_NHS_EXAMPLES = pa.array(["1234567890", "0123456789", "9876543210", "1234567881", "9434765919", "4010232137"])
_UPRN_LENGTH = 12  # BS 7666; GeoPlace: "up to 12 digits"
_UPRN_EXAMPLES = pa.array([("1234567890123"[:size]) for size in range(5, 13)] + ["12345678910"])
_SEPARATORS = byte_class(" -./")
_POINT = ord(".")


def _without_decimals(values: pa.StringArray) -> pa.StringArray:
    # A spreadsheet that took the column for numbers writes "123.0".
    if not (Column.of(values).data == _POINT).any():
        return values
    return pc.replace_substring_regex(values, r"^(\d+)\.0+$", r"\1")


def _nhs_check_digit_fits(digits: Column) -> Mask:
    """Modulus-11 test of values of digits; no other number of them than ten fits."""
    if columns.available():
        return columns.checked(digits.data, digits.offsets)
    fits = digits.lengths == _NHS_LENGTH
    cells = digits.data[digits.offsets[:-1][fits][:, None] + np.arange(_NHS_LENGTH)] - 48
    remainder = (cells[:, :9].astype(np.int64) @ _NHS_WEIGHTS) % 11
    expected = (11 - remainder) % 11  # 10 is no digit, so such a number can never fit
    fits[fits] = expected == cells[:, 9]
    return np.asarray(fits)


def _nhs(raw: pa.StringArray) -> Normalised:
    text = _without_decimals(plain(raw))
    outcomes = start_outcomes(text)
    column = Column.of(text)
    digits = column.keep(DIGITS)
    count = digits.lengths
    only_digits = (count > 0) & (column.count(DIGITS | _SEPARATORS) == column.lengths)
    compact = digits.strings()
    dummy = only_digits & (
        same_character(digits)
        | is_in(compact, _NHS_EXAMPLES)
        # 999 000 0000 to 999 999 9999 are set aside by the NHS for testing.
        | ((count == _NHS_LENGTH) & (digits.at(0) == 57) & (digits.at(1) == 57) & (digits.at(2) == 57))
    )
    outcomes[only_digits & _nhs_check_digit_fits(digits)] = Outcome.OK
    outcomes[dummy] = Outcome.PLACEHOLDER
    _words.mark_placeholders(text, outcomes)
    return finish(compact, outcomes)


def _generic(raw: pa.StringArray) -> Normalised:
    text = _without_decimals(plain(raw))
    outcomes = start_outcomes(text)
    compact = Column.of(text).keep(ALNUM)
    outcomes[compact.lengths >= 4] = Outcome.OK
    outcomes[same_character(compact) | _words.is_placeholder(text)] = Outcome.PLACEHOLDER
    return finish(compact.strings(), outcomes)


def normalise_nhs_number(raw: pa.StringArray, *, standard: Literal["nhs", "generic"]) -> Normalised:
    """Normalise identifiers of health.

    Args:
        raw: n raw values.
        standard: `nhs`: ten digits with any spaces, dots or hyphens, whose modulus-11 check digit fits
            (NHS Data Dictionary, NHS NUMBER); test numbers and repeated digits are placeholders.
            `generic`: another scheme's identifier: letters and digits, at least four, not all the same.

    Returns:
        Ten digits, or capitals and digits.
    """
    return _nhs(raw) if standard == "nhs" else _generic(raw)


def normalise_uprn(raw: pa.StringArray) -> Normalised:
    """Normalise Unique Property Reference Numbers (BS 7666; at most twelve digits).

    Leading zeros are dropped, "123.0" is read as 123; zero, one digit repeated and counting sequences are
    placeholders.

    Args:
        raw: n raw values.

    Returns:
        1 to 12 digits without leading zeros.
    """
    text = _without_decimals(plain(raw))
    outcomes = start_outcomes(text)
    column = Column.of(text)
    only_digits = (column.count(DIGITS) > 0) & (column.count(DIGITS | SPACE) == column.lengths)
    stripped = pc.ascii_ltrim(column.keep(DIGITS).strings(), "0")
    bare = Column.of(stripped)
    outcomes[only_digits & (bare.lengths <= _UPRN_LENGTH)] = Outcome.OK
    dummy = only_digits & ((bare.lengths == 0) | same_character(bare) | is_in(stripped, _UPRN_EXAMPLES))
    outcomes[dummy] = Outcome.PLACEHOLDER
    _words.mark_placeholders(text, outcomes)
    return finish(stripped, outcomes)
