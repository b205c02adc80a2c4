"""What can be counted in a folder that `synthesise` wrote; one query a question."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import duckdb
from ruamel.yaml import YAML

_SIZES = ("1", "2", "3", "4", "5", "6+")
_COUNTS = ("1", "2", "3", "4", "5-9", "10+")
_COMMUNAL = (
    "care_home",
    "prison",
    "students",
    "childrens_home",
    "care_leavers",
    "hostel",
    "no_fixed_abode",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """Counts and shares of a synthetic population; shares lie between 0 and 1.

    Attributes:
        residents: Residents.
        references: Local references at all agencies.
        rows: Contact rows.
        ages: Share of residents by broad age.
        households: Share of private households by size.
        household_mean: People a private household.
        surnames: (rank, share of residents) at ranks spaced by a third of a power of two.
        top_500: Share of residents with one of the 500 commonest surnames.
        distinct_surnames: How many surnames occur.
        single_surnames: Share of those that one resident bears.
        forenames: Share of girls and women with a top-ten forename of their decade, by decade of birth.
        origins: Share of residents by naming system.
        agencies_a_person: Share of residents by number of agencies that know them.
        if_independent: The same if the agencies met people independently of each other.
        known_beyond_health: Share of residents known to an agency other than health.
        contacts: Share of the people known to an agency by number of contacts with it, by agency.
        open_cases: Share of references with an open case, by agency.
        errors: (share missing, share different) of references, by field.
        kinds: (field, kind, references, share) of every kind of difference.
    """

    residents: int
    references: int
    rows: int
    ages: dict[str, float]
    households: dict[str, float]
    household_mean: float
    surnames: list[tuple[int, float]]
    top_500: float
    distinct_surnames: int
    single_surnames: float
    forenames: dict[str, float]
    origins: dict[str, float]
    agencies_a_person: dict[str, float]
    if_independent: dict[str, float]
    known_beyond_health: float
    contacts: dict[str, dict[str, float]]
    open_cases: dict[str, float]
    errors: dict[str, tuple[float, float]]
    kinds: list[tuple[str, str, int, float]]


class _Folder:
    """The tables of a folder as DuckDB views: `people`, `truth`, `errors`, and a view an agency."""

    def __init__(self, folder: Path) -> None:
        self.base = duckdb.connect()
        mapping = YAML(typ="safe").load((folder / "mapping.yaml").read_text(encoding="utf-8"))
        self.columns: dict[str, dict[str, str]] = {
            name: described["columns"] for name, described in mapping["agencies"].items()
        }
        self.open: dict[str, str] = {
            name: next(theirs for theirs, ours in described["codes"]["case_status"].items() if ours == "open")
            for name, described in mapping["agencies"].items()
        }
        self._view("truth", folder / "truth")
        self._view("people", folder / "truth" / "truth-people")
        self._view("errors", folder / "truth" / "truth-errors")
        for name in self.columns:
            self._view(name, folder / name)

    def _view(self, name: str, stem: Path) -> None:
        csv, parquet = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.parquet")
        if parquet.exists():
            self.base.read_parquet(str(parquet)).create_view(name)
        else:
            self.base.read_csv(str(csv), all_varchar=True, header=True).create_view(name)

    def pairs(self, query: str) -> dict[str, float]:
        """Return the two columns of `query` as a dictionary."""
        return {str(key): float(value) for key, value in self.base.sql(query).fetchall()}

    def one(self, query: str) -> float:
        """Return the only value of `query`."""
        ((value,),) = self.base.sql(query).fetchall()
        return 0.0 if value is None else float(value)


def _shares(counts: dict[str, float], labels: tuple[str, ...]) -> dict[str, float]:
    total = sum(counts.values()) or 1.0
    return {label: counts.get(label, 0.0) / total for label in labels}


def _binned(column: str, edges: tuple[str, ...]) -> str:
    cases = []
    for label in edges:
        if label.endswith("+"):
            cases.append(f"when {column} >= {label[:-1]} then '{label}'")
        else:
            low, _, high = label.partition("-")
            cases.append(f"when {column} between {low} and {high or low} then '{label}'")
    return "case " + " ".join(cases) + " end"


def _ages(folder: _Folder, reference: str) -> dict[str, float]:
    counts = folder.pairs(
        f"""
        with ages as (
            select date_diff('day', dob::date, {reference}) / 365.25 as age from people where resident = 'yes'
        )
        select case when age < 15 then '0-14' when age < 65 then '15-64' else '65+' end, count(*) from ages group by 1
        """
    )
    return _shares(counts, ("0-14", "15-64", "65+"))


def _households(folder: _Folder) -> tuple[dict[str, float], float]:
    communal = ", ".join(f"'{kind}'" for kind in _COMMUNAL)
    sizes = f"""
        select household, count(*) as people from people
        where resident = 'yes' and household_kind not in ({communal}) group by household
    """
    counts = folder.pairs(f"select {_binned('people', _SIZES)}, count(*) from ({sizes}) group by 1")
    return _shares(counts, _SIZES), folder.one(f"select avg(people) from ({sizes})")


_SURNAME_COUNTS = """
    select surname, count(*) as bearers, row_number() over (order by count(*) desc, surname) as place
    from people where resident = 'yes' group by surname
"""


def _surname_curve(folder: _Folder, residents: int) -> list[tuple[int, float]]:
    places = sorted({round(2 ** (step / 3)) for step in range(60)})
    listed = ", ".join(map(str, places))
    rows = folder.base.sql(
        f"select place, bearers from ({_SURNAME_COUNTS}) where place in ({listed}) order by place"
    ).fetchall()
    return [(int(place), bearers / residents) for place, bearers in rows]


def _forenames(folder: _Folder) -> dict[str, float]:
    return folder.pairs(
        """
        with girls as (
            select (year(dob::date) // 10 * 10)::varchar || 's' as decade, forename
            from people where resident = 'yes' and sex = 'F'
        ),
        counted as (select decade, forename, count(*) as bearers from girls group by all),
        ranked as (
            select *, row_number() over (partition by decade order by bearers desc, forename) as place,
                sum(bearers) over (partition by decade) as born
            from counted
        )
        select decade, sum(bearers) filter (place <= 10) / max(born) from ranked
        where born >= 500 group by decade order by decade
        """
    )


def _agencies(folder: _Folder, residents: int) -> tuple[dict[str, float], dict[str, float], float]:
    labels = tuple(str(number) for number in range(len(folder.columns) + 1))
    counts = folder.pairs(
        """
        with known as (select person, count(distinct agency) as agencies from truth group by person)
        select coalesce(agencies, 0)::varchar, count(*) from people left join known using (person)
        where resident = 'yes' group by 1
        """
    )
    known = folder.pairs("select agency, count(distinct person) from truth group by agency")
    shares = [min(1.0, known.get(name, 0.0) / residents) for name in folder.columns]
    independent = dict.fromkeys(labels, 0.0)
    for pattern in product((0, 1), repeat=len(shares)):
        chance = 1.0
        for met, share in zip(pattern, shares, strict=True):
            chance *= share if met else 1 - share
        independent[str(sum(pattern))] += chance
    beyond = folder.one("select count(distinct person) from truth where agency <> 'health'")
    return _shares(counts, labels), independent, beyond / residents


def _contacts(folder: _Folder) -> dict[str, dict[str, float]]:
    found = {}
    for name, columns in folder.columns.items():
        rows = f"""
            select person, count(*) as contacts from {name} join truth on ref = "{columns["ref"]}"
            where agency = '{name}' group by person
        """
        counts = folder.pairs(f"select {_binned('contacts', _COUNTS)}, count(*) from ({rows}) group by 1")
        found[name] = _shares(counts, _COUNTS)
    return found


def _open_cases(folder: _Folder) -> dict[str, float]:
    found = {}
    for name, columns in folder.columns.items():
        ref, status = columns["ref"], columns["case_status"]
        found[name] = folder.one(
            f"""
            select count(distinct "{ref}") filter (where "{status}" = '{folder.open[name]}') / count(distinct "{ref}")
            from {name}
            """
        )
    return found


def _holders(folder: _Folder, field: str) -> str:
    return ", ".join(f"'{name}'" for name, columns in folder.columns.items() if field in columns)


def _errors(folder: _Folder) -> tuple[dict[str, tuple[float, float]], list[tuple[str, str, int, float]]]:
    fields = ("forename", "surname", "dob", "sex", "postcode", "uprn", "nhs_number", "address")
    shares: dict[str, tuple[float, float]] = {}
    kinds: list[tuple[str, str, int, float]] = []
    for field in fields:
        holders = _holders(folder, field)
        refs = folder.one(f"select count(*) from truth where agency in ({holders})") or 1.0
        blank = "count(distinct (agency, ref)) filter (error = 'missing')"
        ((missing, different),) = folder.base.sql(
            f"select {blank}, count(distinct (agency, ref)) - {blank} from errors where field = '{field}'"
        ).fetchall()
        shares[field] = (missing / refs, different / refs)
        counted = folder.pairs(
            f"""
            select error, count(distinct (agency, ref)) from errors where field = '{field}'
            group by 1 order by 2 desc, 1
            """
        )
        kinds.extend((field, kind, int(count), count / refs) for kind, count in counted.items())
    return shares, kinds


def measure(folder: Path) -> Measures:
    """Return what can be counted in `folder`.

    Raises:
        OSError: A file is missing.
        duckdb.Error: A file is not what it should be.
    """
    opened = _Folder(folder)
    residents = int(opened.one("select count(*) from people where resident = 'yes'"))
    sizes, mean = _households(opened)
    newest = "(select max(dob::date) from people)"
    spread, independent, beyond = _agencies(opened, residents)
    shares, kinds = _errors(opened)
    origins = opened.pairs(
        "select name_origin, count(*) from people where resident = 'yes' group by 1 order by 2 desc, 1"
    )
    distinct = opened.one(f"select count(*) from ({_SURNAME_COUNTS})")
    return Measures(
        residents=residents,
        references=int(opened.one("select count(*) from truth")),
        rows=sum(int(opened.one(f"select count(*) from {name}")) for name in opened.columns),
        ages=_ages(opened, newest),
        households=sizes,
        household_mean=mean,
        surnames=_surname_curve(opened, residents),
        top_500=opened.one(f"select sum(bearers) from ({_SURNAME_COUNTS}) where place <= 500") / residents,
        distinct_surnames=int(distinct),
        single_surnames=opened.one(f"select count(*) from ({_SURNAME_COUNTS}) where bearers = 1")
        / (distinct or 1),
        forenames=_forenames(opened),
        origins=_shares(origins, tuple(origins)),
        agencies_a_person=spread,
        if_independent=independent,
        known_beyond_health=beyond,
        contacts=_contacts(opened),
        open_cases=_open_cases(opened),
        errors=shares,
        kinds=kinds,
    )
