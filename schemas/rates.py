"""What the counts of agreeing pairs mean: u probabilities, and how relatives agree more often than chance says.

Agencies count pairs of unrelated records of their own (`counted` in a manifest); the linkage unit sums the counts of
all. Both sides read them by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.scheme import COMPARISONS, FAMILY_LEVELS, FamilyLevel

Counts = Mapping[str, Mapping[str, float]]
"""Comparison -> level -> pairs of unrelated records at it, and under "comparable" how many could be."""

SMALLEST_U = 1e-8
"""No level is believed to be rarer by chance than this, whatever the counts say."""

UNSEEN_RELATIVES = 0.1
"""Pairs of relatives at one home, or near it, that a file is believed to hold beside those that were seen. Half a pair
*a level* made true matches of small files look like relatives (docs/adr/0016)."""

TWINS = 0.01
"""Share of pairs of relatives born on one day that is believed beside those seen: assumed, as about one birth in 60 is
of a twin and most relatives at one home are not siblings."""


def u_probabilities(levels: Counts) -> dict[str, dict[str, float]]:
    """Return u of every level, "else" included: agreeing pairs of unrelated records ÷ comparable pairs.

    A level that nobody was seen at gets half a pair.
    """
    made: dict[str, dict[str, float]] = {}
    for comparison in COMPARISONS:
        counts = levels[comparison.name]
        comparable = max(counts["comparable"], 1.0)
        fixed = dict(comparison.fixed_u)
        u = {
            level.name: fixed.get(level.name, max(counts.get(level.name, 0.0), 0.5) / comparable)
            for level in comparison.levels
        }
        u = {name: min(max(value, SMALLEST_U), 0.9) for name, value in u.items()}
        u["else"] = max(1.0 - sum(u.values()), 1e-3)
        scale = sum(u.values())
        made[comparison.name] = {name: value / scale for name, value in u.items()}
    return made


def family_ratios(
    family: Mapping[str, float], levels: Counts, u: Mapping[str, Mapping[str, float]], *, pairs: float
) -> dict[str, float]:
    """Return, by family level, how many times more often unrelated people are at it than single rates say; at least 1.

    The pairs seen at a level, and its share of those believed unseen in its group (one place, twins or not), over
    those expected if surname, place and date of birth were independent of each other.

    Args:
        family: Pairs of unrelated records seen at each family level.
        levels: Pairs at each level of each comparison.
        u: u probabilities.
        pairs: Pairs counted in all.
    """
    held = {
        name: max(levels[name]["comparable"] / max(pairs, 1.0), 1e-9)
        for name in ("surname", "location", "dob")
    }

    def expected(level: FamilyLevel) -> float:
        born = u["dob"]["exact"] * held["dob"] if level.twin else 1.0 - u["dob"]["exact"]
        rate = u["surname"][level.surname] * u["location"][level.location] * born
        return max(pairs, 1.0) * rate * held["surname"] * held["location"]

    def group(location: str, *, twin: bool) -> list[FamilyLevel]:
        return [level for level in FAMILY_LEVELS if level.location == location and level.twin == twin]

    ratios = {}
    for level in FAMILY_LEVELS:
        if min(levels["surname"]["comparable"], levels["location"]["comparable"]) <= 0:
            ratios[level.name] = 1.0  # nobody can be seen to be a relative
            continue
        kin = sum(family[other.name] for other in group(level.location, twin=False)) + UNSEEN_RELATIVES
        unseen = TWINS * kin if level.twin else UNSEEN_RELATIVES
        alike = group(level.location, twin=level.twin)
        share = expected(level) / sum(expected(other) for other in alike)
        ratios[level.name] = max((family[level.name] + unseen * share) / expected(level), 1.0)
    return ratios


def strangers_a_record(rates: Sequence[float], sizes: Sequence[int]) -> float:
    """Return λ of a pass: the expected number of pairs of different people, over the records of all agencies.

    An agency counts at what rate unrelated records of its own meet. The mean of the rates, weighted by how many pairs
    an agency has among all its records (not among those it counted), is taken to hold across agencies too. With the
    rate r and N records λ = r (N - 1) ÷ 2, since a pair belongs to two records. Measured afterwards, it was a third
    to two thirds of this on synthetic populations: relatives meet more within an agency than across.

    Args:
        rates: Share of the pairs of unrelated records of an agency that meet.
        sizes: Its records.
    """
    pairs = [size * (size - 1) / 2 for size in sizes]
    mean = sum(rate * of for rate, of in zip(rates, pairs, strict=True)) / max(sum(pairs), 1)
    return mean * max(sum(sizes) - 1, 0) / 2
