"""Why two records are, or are not, one person: the steps from the prior to the score, from tokens' levels alone.

Of a pair a run keeps the level of each comparison (its *pattern*) and no token, which is all that the score depends on
(docs/adr/0004). With the model file the steps can be told again at any time, without a package or a key.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from linkage.comparing import PATTERN_BITS
from linkage.model import Parameters, gamma_of, level_names
from linkage.reuse import load_model, read_model_document
from schemas.errors import InputError
from schemas.scheme import COMPARISONS, FAMILY_LEVELS, Comparison

_MASK = (1 << PATTERN_BITS) - 1
_LABELS = "Take the labels from review.parquet or links.parquet, as agency and row number: police:123."


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of a score.

    Attributes:
        name: What was compared; `prior` for the first step, `agencies` and `others` for the last two.
        level: Name of the level; empty for the prior, `null` when not both records hold the value.
        label: What the level means, in plain words.
        m: P(level | one person), None where it does not apply.
        u: P(level | two people), None where it does not apply.
        weight: What the step adds, log2 of the odds.
        total: The sum so far.
    """

    name: str
    level: str
    label: str
    m: float | None
    u: float | None
    weight: float
    total: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Why a pair has its score.

    Attributes:
        run_id: The run.
        record_a: Label of a record.
        record_b: Label of the other.
        steps: From the prior over the comparisons to the links beside this one.
        pair_weight: The score of the pair by itself, log2 of the odds.
        match_weight: The score, after links were weighed against each other.
        match_probability: The same as a probability.
        final_probability: That they are one person, when all links of the run are known (`linkage.ties`).
        found_by: Passes in which the two met.
        passes: Passes of the run.
        threshold: Probability from which on the run believes a link.
        joined: Whether they are one person in this run.
        review: Why they stand in the review file; None when they do not.
        gammas: Comparison -> gamma, the family correction included; -1 null, larger is stronger.
    """

    run_id: str
    record_a: str
    record_b: str
    steps: tuple[Step, ...]
    pair_weight: float
    match_weight: float
    match_probability: float
    final_probability: float
    found_by: tuple[str, ...]
    passes: int
    threshold: float
    joined: bool
    review: str | None
    gammas: dict[str, int]

    @property
    def verdict(self) -> str:
        """Whether they are one person, and whether this link is why."""
        strong = self.match_probability >= self.threshold
        if self.joined:
            return (
                "one person" if strong else "one person, through other records: this link alone is too weak"
            )
        return "two people, though this link is strong enough: it was cut" if strong else "two people"

    @property
    def final(self) -> str | None:
        """What other records make of the score, in a sentence; None where they leave it as it is."""
        if likelihood(self.final_probability) == likelihood(self.match_probability):
            return None
        how = "Through other records" if self.joined else "As the link was cut"
        return f"{how}, the probability that they are one person is {self.final_probability:.4f}."


def parse_label(text: str) -> tuple[str, int]:
    """Return agency and row number of a label such as `police:123`.

    Raises:
        InputError: It is no label.
    """
    agency, _, number = text.rpartition(":")
    if not agency or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise InputError("this is no label of a record.", where="--pair", remedy=_LABELS)
    return agency, int(number)


def decode(pattern: int) -> dict[str, int]:
    """Return the gamma of each comparison in a pattern, the family correction included."""
    names = [*(comparison.name for comparison in COMPARISONS), "family"]
    return {name: (pattern >> (PATTERN_BITS * place) & _MASK) - 1 for place, name in enumerate(names)}


def _level(comparison: Comparison, gamma: int) -> tuple[str, str]:
    """Return name and plain words of the level that has this gamma."""
    for place, level in enumerate(comparison.levels):
        if gamma_of(comparison, place) == gamma:
            return level.name, level.label
    return ("null", "not held by both") if gamma < 0 else ("else", "nothing agrees")


def _contributions(parameters: Parameters, gammas: dict[str, int]) -> Iterator[tuple[Any, ...]]:
    prior = parameters.prior
    yield "prior", "", "any two records of this run", None, None, math.log2(prior / (1 - prior))
    for comparison in COMPARISONS:
        level, label = _level(comparison, gammas[comparison.name])
        if level == "null":
            yield comparison.name, level, label, None, None, 0.0
        else:
            m, u = parameters.m[comparison.name][level], parameters.u[comparison.name][level]
            yield comparison.name, level, label, m, u, math.log2(m / u)
    gamma = gammas["family"]
    if gamma > 0:
        found = FAMILY_LEVELS[len(FAMILY_LEVELS) - gamma]
        ratio = parameters.family[found.name]
        label = f"relatives share this too: {found.label}"
        yield "family", found.name, label, None, None, -math.log2(ratio)
    else:
        yield "family", "else", "no correction for relatives", None, None, 0.0


def steps_of(parameters: Parameters, gammas: dict[str, int]) -> tuple[Step, ...]:
    """Return the steps from the prior to the score (Fellegi and Sunter 1969: the weights of the levels add up)."""
    steps, total = [], 0.0
    for name, level, label, m, u, weight in _contributions(parameters, gammas):
        total += weight
        steps.append(Step(name=name, level=level, label=label, m=m, u=u, weight=weight, total=total))
    return tuple(steps)


def _settled_steps(begun: tuple[Step, ...], agencies: float, total: float) -> tuple[Step, ...]:
    """Return the two steps that come of the other links (`linkage.settling`), after those of the pair itself."""
    before = begun[-1].total
    told = (
        ("agencies", "how often these two agencies share a person", agencies),
        ("others", "other records that fit either of the two, or none at all", total - agencies - before),
    )
    added = []
    for name, label, weight in told:
        before += weight
        added.append(Step(name=name, level="", label=label, m=None, u=None, weight=weight, total=before))
    return (*begun, *added)


def _require_run(folder: Path) -> dict[str, Any]:
    try:
        summary = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return dict(summary)
    except (OSError, ValueError, TypeError):
        raise InputError(
            "this is no run folder.",
            where=str(folder),
            remedy="Name the folder that `tallystick link` wrote.",
        ) from None


def _table(folder: Path, name: str, columns: list[str]) -> Any:
    try:
        return pq.read_table(folder / name).select(columns)
    except (OSError, ValueError, KeyError):
        raise InputError(
            f"{name} cannot be read, or is of another release.",
            where=str(folder),
            remedy="Explain a run with the release that made it.",
        ) from None


def _persons(folder: Path, records: list[tuple[str, int]]) -> list[int | None]:
    people = _table(folder, "people.parquet", ["agency", "subject", "person"])
    found = []
    for agency, number in records:
        rows = people.filter(pc.and_(pc.equal(people["agency"], agency), pc.equal(people["subject"], number)))
        found.append(rows["person"][0].as_py() if rows.num_rows else None)
    return found


def _link(folder: Path, a: tuple[str, int], b: tuple[str, int]) -> dict[str, Any] | None:
    columns = [
        "agency_l",
        "subject_l",
        "agency_r",
        "subject_r",
        "match_weight",
        "match_probability",
        "found_by",
    ]
    columns += ["pattern", "pair_weight", "agencies_weight", "final_probability"]
    links = _table(folder, "links.parquet", columns)
    for left, right in ((a, b), (b, a)):
        mask = pc.and_(
            pc.and_(pc.equal(links["agency_l"], left[0]), pc.equal(links["subject_l"], left[1])),
            pc.and_(pc.equal(links["agency_r"], right[0]), pc.equal(links["subject_r"], right[1])),
        )
        rows = links.filter(mask).to_pylist()
        if rows:
            return dict(rows[0])
    return None


def _review(folder: Path, a: str, b: str) -> str | None:
    table = _table(folder, "review.parquet", ["record_a", "record_b", "reason"])
    for row in table.filter(pc.is_in(table["record_a"], pc.cast([a, b], table["record_a"].type))).to_pylist():
        if {row["record_a"], row["record_b"]} == {a, b}:
            return str(row["reason"])
    return None


def explain_pair(folder: Path, record_a: str, record_b: str) -> Explanation:
    """Explain the score of a pair of records of the run in `folder`.

    Args:
        folder: A run folder.
        record_a: Label of a record, such as `police:123`.
        record_b: Label of another.

    Raises:
        InputError: There is no such run or record, or the two never met.
        ModelInvalid: The run's model file is not well formed.
    """
    summary = _require_run(folder)
    a, b = parse_label(record_a), parse_label(record_b)
    persons = _persons(folder, [a, b])
    if None in persons or a == b:
        raise InputError(
            "the run has no such two records." if a != b else "these are one record, not two.",
            where="--pair",
            remedy=_LABELS,
        )
    joined = persons[0] == persons[1]
    link = _link(folder, a, b)
    if link is None or link["pattern"] is None:
        told = "They are not one person in this run."
        if joined and link is not None:
            told = f"They are one person through other records, with probability {link['final_probability']:.4f}."
        raise InputError(
            f"the two records met in no pass, or are to be kept apart, so there is no score. {told}",
            where="--pair",
            remedy="Explain pairs that stand in links.parquet with a pattern.",
        )
    gammas = decode(link["pattern"])
    return Explanation(
        run_id=str(summary["run"]),
        record_a=record_a,
        record_b=record_b,
        steps=_settled_steps(
            steps_of(load_model(folder / "model.json").parameters, gammas),
            link["agencies_weight"],
            link["match_weight"],
        ),
        pair_weight=link["pair_weight"],
        match_weight=link["match_weight"],
        match_probability=link["match_probability"],
        final_probability=link["final_probability"],
        found_by=tuple(
            entry["name"] for index, entry in enumerate(summary["blocking"]) if link["found_by"] >> index & 1
        ),
        passes=len(summary["blocking"]),
        threshold=float(summary["settings"]["threshold"]),
        joined=joined,
        review=_review(folder, record_a, record_b),
        gammas=gammas,
    )


def model_of(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the run id and the model document of the run in `folder`.

    Raises:
        InputError: There is no such run.
        ModelInvalid: Its model file is not well formed.
    """
    summary = _require_run(folder)
    load_model(folder / "model.json")
    return str(summary["run"]), read_model_document(folder / "model.json")


def likelihood(share: float | None) -> str:
    """Return a probability as people read it: digits, or one in so many when it is small."""
    if share is None:
        return ""
    return f"{share:.3g}" if share >= _SMALL else f"1 in {float(f'{1 / share:.3g}'):,.0f}"


_SMALL = 0.01

READING = (
    "m: how often two records of one person agree like this. u: how often two records of two people do. The weight is "
    "log2(m/u): +1 doubles the odds of one person, -1 halves them. Weights add up; 0 in all is even odds."
)
"""How to read the steps, for somebody who has never seen any."""

READING_PAIR = (
    f"{READING} The last two steps come of all links together: how often the two agencies share a person, and whether "
    "another record fits one of the two better."
)
"""The same for the steps of a pair."""


def _row(name: str, label: str, m: float | None, u: float | None, weights: Sequence[float]) -> list[str]:
    """Return a line of a table of steps, and more lines where the label is long."""
    words = wrap(label, 49)
    figures = "".join(f"{weight:>+9.2f}" for weight in weights)
    lines = [f"  {name:12}{words[0]:50}{likelihood(m):>9}{likelihood(u):>17}{figures}"]
    return [*lines, *(f"  {'':12}{more}" for more in words[1:])]


def _head(*weights: str) -> str:
    named = "".join(f"{weight:>9}" for weight in weights)
    return f"  {'':12}{'what agrees':50}{'m':>9}{'u':>17}{named}"


def explanation_text(found: Explanation) -> str:
    """Return an explanation for a terminal."""
    lines = [
        f"{found.record_a} and {found.record_b} in run {found.run_id}: {found.verdict}.",
        f"Match weight {found.match_weight:+.2f}, match probability {found.match_probability:.4f}; links are believed "
        f"from {found.threshold} on.",
    ]
    if found.final is not None:
        lines.append(found.final)
    if found.review is not None:
        lines.append(f"For a person to look at: {REVIEW_WORDS[found.review]}.")
    lines += ["", _head("weight", "so far")]
    for step in found.steps:
        lines += _row(step.name, step.label, step.m, step.u, (step.weight, step.total))
    lines += ["", *wrap(READING_PAIR, 110)]
    lines += ["", f"They met in {len(found.found_by)} of {found.passes} passes, in which these agree:"]
    return "\n".join([*lines, *(f"  {name.replace('+', ', ')}" for name in found.found_by)])


REVIEW_WORDS = {
    "band": "the score lies between the agreement's two bounds",
    "nhs_number": "their NHS numbers, or those of records beside them, differ",
    "relatives": "they may be twins or other relatives: the forenames have nothing in common",
    "size": "joining them would have made a person with too many records",
}
"""Why a link stands in the review file, in plain words."""


def model_text(run_id: str, document: Mapping[str, Any]) -> str:
    """Return a model document as a table for a terminal."""
    stated = document["parameters"]
    lines = [
        f"The model of run {run_id}, trained in run {document['run']} on {document['subjects']:,} records.",
        f"Chance that two random records are one person: {likelihood(stated['prior'])}.",
        "",
        _head("weight"),
    ]
    for comparison in COMPARISONS:
        labels = {level.name: level.label for level in comparison.levels} | {"else": "nothing agrees"}
        for level in level_names(comparison):
            m, u = stated["m"][comparison.name][level], stated["u"][comparison.name][level]
            lines += _row(comparison.name, labels[level], m, u, (math.log2(m / u),))
        seen = document["seen"].get(comparison.name, 0)
        if not seen:
            lines.append(f"  {'':12}(m of {comparison.name} is the shipped prior: no pass could teach it)")
    return "\n".join([*lines, "", *wrap(READING, 110)])
