"""What became of each raw value: the outcome codes and the result of every normaliser."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Outcome(IntEnum):
    """Why a normalised value is there, or is not.

    MISSING, PLACEHOLDER and INVALID all give a null; they are kept apart because the data-quality report
    counts them apart.
    """

    OK = 0
    MISSING = 1
    PLACEHOLDER = 2
    INVALID = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalised:
    """The result of one normaliser on n raw values.

    Attributes:
        values: n normalised values, null wherever the outcome is not OK.
        outcomes: n codes of `Outcome`, uint8.
    """

    values: pa.StringArray
    outcomes: npt.NDArray[np.uint8]
