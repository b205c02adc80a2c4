"""The words of an opened result, a CSV file at an agency: what `open` writes and an erasure has to read again."""

from __future__ import annotations

WHO = "who"
"""Column that says whom a row is about; there only where the agreement allows more than the first kind of row."""

THIS_PERSON = "this person"
"""The person of the reference, known to the agency of the row. Every row of a result without the column is of these."""

SAME_HOME = "somebody else at the same home"
"""Somebody else at a home of the person, known to the agency of the row."""

BUSIEST = "this person, busiest months"
"""The person of the reference in the window with most agencies; it names none of them."""
