"""What missed and false pairs have in common, in counts: which identifiers differ, whose they are, where they went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import jellyfish
import numpy as np
import pyarrow as pa

from benchmarks.accuracy.figures import ties_of
from benchmarks.accuracy.found import Found, load
from benchmarks.accuracy.records import Records, read_csv
from linkage.ties import Ties
from schemas.scheme import FIELDS

GROUPS = (
    *("name_origin", "age_band", "mover", "name_changer", "twin", "no_fixed_abode", "looked_after"),
    *("protected_address", "nickname_in_use", "household_kind"),
)
"""Columns of truth-people that say whose pair it is."""

_DOB_PARTS = ("dob_swap", "dob_month_year", "dob_day_year", "dob_day_month")
_NEAR_COLUMNS = {
    "forename": ("forename_nickname", "forename_phonetic"),
    "surname": ("surname_phonetic",),
    "dob": _DOB_PARTS,
    "postcode": ("postcode_sector",),
    "uprn": (),
    "nhs_number": (),
    "sex": (),
    "address": ("address_number_street",),
}
"""Two values that agree in one of these derived columns are near each other."""

_ORDER = ("same", "near", "differ", "missing")

Pair = tuple[int, int]
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistakes:
    """Pairs of references (positions in `Records.refs`) that a system got wrong at a threshold.

    Attributes:
        unusable: True pairs of which one reference has no usable row.
        unmet: True pairs that were never compared, and are not one person through others.
        low: True pairs that were scored below the threshold.
        false: Pairs of different people scored at or above it.
    """

    unusable: list[Pair]
    unmet: list[Pair]
    low: list[Pair]
    false: list[Pair]


def _scores(ties: Ties, subjects: int) -> dict[int, float]:
    keys = (ties.left * subjects + ties.right).tolist()
    return dict(zip(keys, ties.probability.tolist(), strict=True))


def true_pairs(records: Records) -> list[Pair]:
    """Return every pair of references of one person."""
    members: dict[int, list[int]] = {}
    for place, person in enumerate(records.refs.person.tolist()):
        members.setdefault(person, []).append(place)
    return [pair for places in members.values() for pair in combinations(places, 2)]


def mistakes(found: Found, records: Records, threshold: float) -> Mistakes:
    """Return what `found` got wrong at `threshold`."""
    subject, person = records.refs.subject.tolist(), records.refs.person.tolist()
    ties = ties_of(found, records)
    scores = _scores(ties, records.subjects)
    unusable, unmet, low = [], [], []
    for a, b in true_pairs(records):
        left, right = sorted((subject[a], subject[b]))
        if left < 0:
            unusable.append((a, b))
        elif left != right:
            score = scores.get(left * records.subjects + right)
            if score is None:
                unmet.append((a, b))
            elif score < threshold:
                low.append((a, b))
    of_subject: dict[int, list[int]] = {}
    for place, number in enumerate(subject):
        of_subject.setdefault(number, []).append(place)
    strong = ties.probability >= threshold
    false = [
        (a, b)
        for left, right in zip(ties.left[strong].tolist(), ties.right[strong].tolist(), strict=True)
        for a in of_subject.get(left, ())
        for b in of_subject.get(right, ())
        if person[a] != person[b]
    ]
    false += [
        pair
        for number, places in of_subject.items()
        if number >= 0
        for pair in combinations(places, 2)
        if person[pair[0]] != person[pair[1]]
    ]
    return Mistakes(unusable=unusable, unmet=unmet, low=low, false=false)


def _relation(field: str, one: Row, other: Row) -> str:
    a, b = one[field], other[field]
    if a is None or b is None:
        return "missing"
    if a == b:
        return "same"
    if any(one[name] is not None and one[name] == other[name] for name in _NEAR_COLUMNS[field]):
        return "near"
    if field in {"dob", "nhs_number", "uprn"}:
        return "near" if jellyfish.damerau_levenshtein_distance(a, b) <= 1 else "differ"
    return "near" if field != "sex" and jellyfish.jaro_winkler_similarity(a, b) >= 0.88 else "differ"


class _Compared:
    """Relations of the identifiers of pairs, each the best over the versions of both subjects."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.fields = [
            name for name in FIELDS if records.versions.column(name).null_count < records.versions.num_rows
        ]
        order = np.argsort(records.versions.column("subject").to_numpy(), kind="stable")
        self.table: pa.Table = records.versions.take(order)
        self.starts = np.searchsorted(
            self.table.column("subject").to_numpy(), np.arange(records.subjects + 1)
        )

    def _rows(self, place: int) -> list[Row]:
        subject = int(self.records.refs.subject[place])
        start, end = int(self.starts[subject]), int(self.starts[subject + 1])
        rows: list[Row] = self.table.slice(start, end - start).to_pylist()
        return rows

    def relations(self, pair: Pair) -> dict[str, str]:
        """Return field -> same, near, differ or missing."""
        lefts, rights = self._rows(pair[0]), self._rows(pair[1])
        return {
            field: min((_relation(field, a, b) for a in lefts for b in rights), key=_ORDER.index)
            for field in self.fields
        }


def _lines(title: str, counts: Counter[str], total: int, most: int = 12) -> list[str]:
    shown = [
        f"    {count:>6}  {100 * count / max(total, 1):5.1f}%  {name}"
        for name, count in counts.most_common(most)
    ]
    return [f"  {title}", *shown] if shown else []


def _by_field(relations: Sequence[Mapping[str, str]], fields: Sequence[str]) -> list[str]:
    lines = [f"    {'identifier':12}" + "".join(f"{name:>9}" for name in _ORDER)]
    for field in fields:
        counts = Counter(each[field] for each in relations)
        lines.append(f"    {field:12}" + "".join(f"{counts[name]:>9,}" for name in _ORDER))
    return lines


def _pattern(relations: Mapping[str, str]) -> str:
    """Return the pattern in words: only what is not the same."""
    parts = [f"{field} {state}" for field, state in relations.items() if state != "same"]
    return ", ".join(parts) or "everything held is the same"


class _Truth:
    """Labels of people and kinds of errors of references, where the data is synthetic."""

    def __init__(self, extracts: Path) -> None:
        people, errors = extracts / "truth" / "truth-people.csv", extracts / "truth" / "truth-errors.csv"
        self.people = {row["person"]: row for row in read_csv(people)} if people.exists() else {}
        self.errors: dict[tuple[str, str], set[str]] = {}
        for row in read_csv(errors) if errors.exists() else []:
            self.errors.setdefault((row["agency"], row["ref"]), set()).add(f"{row['field']} {row['error']}")

    def labels(self, person: str) -> list[str]:
        """Return the group labels of a person, without the usual "no"."""
        row = self.people.get(person, {})
        return [f"{name} {row[name]}" for name in GROUPS if row.get(name, "no") not in {"no", ""}]

    def kin(self, one: str, other: str) -> str:
        """Return what two different people are to each other."""
        a, b = self.people.get(one, {}), self.people.get(other, {})
        if not a or not b:
            return "unknown"
        if a["household"] and a["household"] == b["household"]:
            return "one household, born on one day" if a["dob"] == b["dob"] else "one household"
        return "different households"


def _missed_lines(
    title: str, pairs: list[Pair], compared: _Compared, truth: _Truth, base: Counter[str], total: int
) -> list[str]:
    if not pairs:
        return [f"  {title}: none"]
    relations = [compared.relations(pair) for pair in pairs]
    records = compared.records
    labels = Counter(label for a, _ in pairs for label in truth.labels(records.persons[a]))
    kinds = Counter(
        kind
        for pair in pairs
        for kind in set().union(*(truth.errors.get(records.names[p], set()) for p in pair))
    )
    lines = [f"  {title}: {len(pairs):,}", *_by_field(relations, compared.fields)]
    lines += _lines("patterns (what is not the same)", Counter(map(_pattern, relations)), len(pairs), 15)
    lines += _lines("errors in either record", kinds, len(pairs))
    shares = [
        f"    {count:>6}  {100 * count / len(pairs):5.1f}% of these, "
        f"{100 * base[label] / max(total, 1):5.1f}% of all  {label}"
        for label, count in labels.most_common(14)
    ]
    return [*lines, *(["  whose they are", *shares] if shares else [])]


def _false_lines(pairs: list[Pair], compared: _Compared, truth: _Truth) -> list[str]:
    if not pairs:
        return ["  false pairs: none"]
    relations, records = [compared.relations(pair) for pair in pairs], compared.records
    lines = [f"  false pairs: {len(pairs):,}", *_by_field(relations, compared.fields)]
    kin = Counter(truth.kin(records.persons[a], records.persons[b]) for a, b in pairs)
    lines += _lines("who they are to each other", kin, len(pairs))
    return [
        *lines,
        *_lines("patterns (what is not the same)", Counter(map(_pattern, relations)), len(pairs), 15),
    ]


def error_text(records: Records, home: Path, found: Mapping[str, Any]) -> str:
    """Return the error analysis of a dataset: sealed and clear text at their best thresholds, and where they part.

    Args:
        records: The records.
        home: Folder with `extracts` and the systems' results.
        found: Figures by system.
    """
    compared, truth = _Compared(records), _Truth(home / "extracts")
    pairs = true_pairs(records)
    base = Counter(label for a, _ in pairs for label in truth.labels(records.persons[a]))
    lines, wrong = [f"\nTrue pairs: {len(pairs):,}"], {}
    for system in ("sealed", "clear"):
        if system not in found:
            continue
        threshold = found[system]["best"]["pairs"]["threshold"]
        made = wrong[system] = mistakes(load(home / system), records, threshold)
        lines += [
            f"\n{system}, at its best threshold {threshold:.3g}",
            f"  without a usable row: {len(made.unusable):,}",
        ]
        lines += _missed_lines("never compared", made.unmet, compared, truth, base, len(pairs))
        lines += _missed_lines("compared, scored too low", made.low, compared, truth, base, len(pairs))
        lines += _false_lines(made.false, compared, truth)
    if len(wrong) == 2:
        lines += _parting(wrong["sealed"], wrong["clear"], compared, truth, base, len(pairs))
    return "\n".join(lines)


def _parting(
    sealed: Mistakes, clear: Mistakes, compared: _Compared, truth: _Truth, base: Counter[str], total: int
) -> list[str]:
    ours, theirs = {*sealed.unmet, *sealed.low}, {*clear.unmet, *clear.low}
    lines = [
        f"\nMissed by both {len(ours & theirs):,}, by sealed only {len(ours - theirs):,}, "
        f"by clear text only {len(theirs - ours):,}; false in both "
        f"{len(set(sealed.false) & set(clear.false)):,}, in sealed only {len(set(sealed.false) - set(clear.false)):,}, "
        f"in clear text only {len(set(clear.false) - set(sealed.false)):,}."
    ]
    for title, pairs in (
        ("sealed never compared, clear text found", set(sealed.unmet) - theirs),
        ("sealed scored too low, clear text found", set(sealed.low) - theirs),
        ("clear text missed, sealed found", theirs - ours),
    ):
        lines += _missed_lines(title, sorted(pairs), compared, truth, base, total)
    return lines
