"""NHS numbers that pass their check and never repeat.

The number format is public (NHS Data Dictionary, "NHS NUMBER": ten digits, modulus 11, weights 10 to 2). The ranges in
use begin with 4, 6 or 7. Numbers beginning 999 are reserved for tests and every careful reader refuses them, so a
synthetic population cannot use them; a number made here may be somebody's by chance, and nothing else here is theirs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_SPAN = 300_000_000  # 400 000 000 to 499 999 999 and 600 000 000 to 799 999 999, without the check digit
_STRIDE = 97_003_019  # coprime to the span, so that stepping through it meets every number once


def check_digits(stems: Ints) -> Ints:
    """Return the check digit of each nine-digit stem; 10 where no valid number exists."""
    total = np.zeros_like(stems)
    for position in range(9):
        total += (stems // 10 ** (8 - position) % 10) * (10 - position)
    return (11 - total % 11) % 11


def nhs_numbers(rng: np.random.Generator, *, start: int, count: int, offset: int) -> Ints:
    """Return `count` distinct valid NHS numbers in random order.

    Args:
        rng: Decides the order.
        start: First place in the sequence. Calls whose ranges [start, start + 1.25 count + 64) do not overlap
            share no number.
        count: How many.
        offset: Where in the span the sequence begins, for example from the seed.
    """
    places = start + np.arange(int(count * 1.25) + 64, dtype=np.int64)
    stems = (offset + places * _STRIDE) % _SPAN
    stems = np.where(stems < 100_000_000, stems + 400_000_000, stems + 500_000_000)
    check = check_digits(stems)
    numbers = (stems * 10 + check)[check < 10][:count]
    return rng.permutation(numbers)
