"""Values a second that the normalisers take, on one core.

    python benchmarks/bench_normalise.py [--rows 200000] [--only nhs_number postcode]

Values are invented and distinct (or nearly so), because sealing hands over distinct values only.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa

from hashing import normalise as norm

_TODAY = date(2026, 6, 30)
_LETTERS = "ABCDEFGHJKLMNPRSTUVWY"
_AREAS = ("LS", "M", "B", "SW", "E", "WS", "NE", "CF", "EH", "YO")
_STREETS = (
    "High Street",
    "Station Road",
    "Mill Lane",
    "Church Close",
    "Park Avenue",
    "St John's Road",
    "Kings Court",
)
_SYLLABLES = (
    "ma",
    "ri",
    "jo",
    "han",
    "el",
    "ber",
    "ton",
    "smi",
    "ka",
    "ro",
    "lin",
    "de",
    "wil",
    "son",
    "pe",
    "ter",
    "an",
)

Maker = Callable[[np.random.Generator, int], list[str]]


def _nhs(rng: np.random.Generator, rows: int) -> list[str]:
    return [
        f"{n // 10**7} {n // 10**4 % 1000:03d} {n % 10**4:04d}"
        for n in rng.integers(4 * 10**9, 8 * 10**9, rows)
    ]


def _uprn(rng: np.random.Generator, rows: int) -> list[str]:
    return [str(n) for n in rng.integers(10**4, 10**12, rows)]


def _postcode(rng: np.random.Generator, rows: int) -> list[str]:
    picks = zip(
        rng.choice(_AREAS, rows),
        rng.integers(1, 30, rows),
        rng.integers(0, 10, rows),
        rng.choice(list(_LETTERS), (rows, 2)),
        strict=True,
    )
    return [f"{area}{district} {sector}{unit[0]}{unit[1]}" for area, district, sector, unit in picks]


def _dates(rng: np.random.Generator, rows: int) -> list[str]:
    days = np.datetime64("1930-01-01") + rng.integers(0, 35_000, rows).astype("timedelta64[D]")
    forms = ("%Y-%m-%d", "%d/%m/%Y", "%d-%b-%y", "%Y-%m-%d 00:00:00")
    return [day.strftime(forms[k % 4]) for k, day in enumerate(days.astype("datetime64[s]").tolist())]


def _address(rng: np.random.Generator, rows: int) -> list[str]:
    picks = zip(
        rng.integers(1, 400, rows),
        rng.choice(_STREETS, rows),
        _name(rng, rows),
        _postcode(rng, rows),
        strict=True,
    )
    return [f"{number} {street}, {town}, {code}" for number, street, town, code in picks]


def _name(rng: np.random.Generator, rows: int) -> list[str]:
    picks = rng.choice(_SYLLABLES, (rows, 4))
    marks = rng.choice(["", "", "", "", "", "", "", "-", "'", " (Bob)"], rows)
    return [
        f"{a}{b}{mark if len(mark) < 2 else ''}{c}{d}{mark if len(mark) > 1 else ''}".title()
        for (a, b, c, d), mark in zip(picks, marks, strict=True)
    ]


def _jobs() -> dict[
    str, tuple[Maker, Callable[[pa.StringArray], norm.Normalised], Callable[[pa.StringArray], object] | None]
]:
    return {
        "nhs_number": (_nhs, lambda raw: norm.normalise_nhs_number(raw, standard="nhs"), None),
        "uprn": (_uprn, norm.normalise_uprn, None),
        "postcode": (
            _postcode,
            lambda raw: norm.normalise_postcode(raw, standard="uk"),
            lambda values: norm.derive_postcode(values, standard="uk"),
        ),
        "date": (
            _dates,
            lambda raw: norm.normalise_date(raw, formats=None, today=_TODAY, is_birth=True),
            norm.derive_date,
        ),
        "address": (_address, norm.normalise_address, norm.derive_address),
        "forename": (
            _name,
            norm.normalise_forename,
            lambda values: norm.derive_name(values, kind="forename"),
        ),
        "surname": (_name, norm.normalise_surname, lambda values: norm.derive_name(values, kind="surname")),
        "alternatives": (_name, lambda raw: norm.alternative_names(raw, kind="surname"), None),  # type: ignore[dict-item,return-value]
    }


def _best(call: Callable[[], object], repeats: int) -> float:
    """The least CPU seconds of several calls."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Print a table of thousands of values a second of CPU time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    pa.set_cpu_count(1)
    print(f"{options.rows:,} values; thousands a second of CPU, best of {options.repeats}")
    print(f"{'field':<14}{'normalise':>10}{'derive':>10}  distinct")
    for field, (make, normalise, derive) in _jobs().items():
        if options.only and field not in options.only:
            continue
        raw = pa.array(make(np.random.default_rng(7), options.rows), pa.string())
        normalise(raw.slice(0, 100))
        seconds = _best(lambda raw=raw, run=normalise: run(raw), options.repeats)  # type: ignore[misc]
        derived = ""
        if derive is not None:
            values = normalise(raw).values
            derived = (
                f"{options.rows / 1000 / _best(lambda v=values, run=derive: run(v), options.repeats):,.0f}"  # type: ignore[misc]
            )
        print(f"{field:<14}{options.rows / 1000 / seconds:>10,.0f}{derived:>10}  {len(raw.unique()):,}")


if __name__ == "__main__":
    main()
