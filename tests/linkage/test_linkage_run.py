"""A run: the folder appears whole or not at all, and holds no token and no identifier."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from linkage_oracle import first_day
from linkage_world import AGENCIES, AS_OF, NOW, World

from governance.agreement import Budget
from governance.lifecycle.rewriting import Subjects, rewrite_parquet
from linkage.comparing import PATTERN_BITS
from linkage.database import connect
from linkage.privacy_budget import planned_lambda, require_budget
from linkage.run import RunResult, link, summary_of
from linkage.window_days import last_day, require_contacts_from
from schemas.errors import LinkageError, OutputError, SchemaMismatch
from schemas.payload import pass_part
from schemas.policies import ReplayGuard
from schemas.scheme import COMPARISONS, FIELDS, parse_pass

STAGES = (
    "take in packages",
    "find candidate pairs",
    "compare, train and score",
    "cluster",
    "measure privacy",
    "find multi-agency contact",
    "write returns",
)


@dataclass(frozen=True)
class _Run:
    folder: Path
    result: RunResult
    stages: list[str]


@pytest.fixture(scope="module")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> _Run:
    """A whole run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    seen: list[str] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        seen.append(name)
        yield

    return _Run(folder, world.link(folder, stage=stage), seen)


def test_what_a_run_leaves(run: _Run) -> None:
    """The folder holds the results and one return an agency, and nothing else."""
    assert run.stages == list(STAGES)
    files = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file()}
    assert files == {
        "run.json",
        "model.json",
        "links.parquet",
        "review.parquet",
        "people.parquet",
        "told.parquet",
        *(f"returns/{name}.tally" for name in AGENCIES),
    }


def test_a_run_equals_its_stages(run: _Run, unit: Any) -> None:
    """`link` finds what the stages find one by one."""
    result = run.result
    assert result.links.weight.tolist() == unit.links.weight.tolist()
    assert result.clusters.person.tolist() == unit.clusters.person.tolist()
    assert result.subjects == unit.subjects
    assert set(result.told) == set(AGENCIES)


@pytest.mark.parametrize(("failing", "when"), [*((name, "begins") for name in STAGES), (STAGES[-1], "ends")])
def test_whole_or_not_at_all(world: World, tmp_path: Path, failing: str, when: str) -> None:
    """Whatever stage fails, no run folder and no working folder is left behind."""

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        if name == failing and when == "begins":
            raise LinkageError("stop")
        yield
        if name == failing:
            raise LinkageError("stop")

    with pytest.raises(LinkageError, match="stop"):
        world.link(tmp_path / "run", stage=stage)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_run_is_not_overwritten(world: World, tmp_path: Path) -> None:
    """A folder with something in it is refused before any package is opened."""
    (tmp_path / "keep.txt").write_text("kept")
    with pytest.raises(OutputError):
        world.link(tmp_path, unit=None)
    assert [path.name for path in tmp_path.iterdir()] == ["keep.txt"]


def _raw_identifiers(world: World) -> set[bytes]:
    """Identifiers and references of the extracts that are too long to turn up by chance."""
    found: set[str] = set()
    for extract in world.extracts.values():
        for name in (*FIELDS, "ref", "lead_contact"):
            if name in extract.columns and name != "sex":
                values = extract.columns[name].drop_null().to_pylist()
                found.update(value for value in values if len(value) >= 6)
    assert len(found) > 1000
    return {value.encode() for value in found}


def _readable(folder: Path) -> dict[str, bytes]:
    """What a thief reads in the run folder: the JSON files, and the tables as text, uncompressed."""
    shown = {path.name: path.read_bytes() for path in folder.glob("*.json")}
    for path in folder.glob("*.parquet"):
        table = pq.read_table(path)
        text = "\n".join(repr(row) for row in table.to_pylist())
        shown[path.name] = (repr(table.schema) + text).encode()
    assert len(shown) == 6
    return shown


def test_run_holds_no_identifier(run: _Run, world: World) -> None:
    """No value of any extract stands in what the unit keeps, neither as the agency wrote it nor normalised."""
    secrets = _raw_identifiers(world)
    for subjects in world.subjects.values():
        for name, coded in subjects.fields.items():
            if name != "sex":
                secrets |= {value.encode() for value in coded.values.to_pylist() if len(value) >= 6}
    for name, content in _readable(run.folder).items():
        words = set(content.replace(b'"', b" ").replace(b"'", b" ").replace(b",", b" ").split())
        assert not words & secrets, name
        assert not [value for value in secrets if len(value) >= 10 and value in content], name


def test_run_holds_no_token(run: _Run, world: World) -> None:
    """No block id or sealed lead stands in what the unit keeps, and no column has room for a token."""
    assert pq.read_schema(run.folder / "links.parquet").names == [
        "agency_l",
        "subject_l",
        "agency_r",
        "subject_r",
        "match_weight",
        "match_probability",
        "found_by",
        "pattern",
        "pair_weight",
        "agencies_weight",
        "final_probability",
    ]
    assert pq.read_schema(run.folder / "people.parquet").names == ["agency", "subject", "person"]
    shown = b"".join(_readable(run.folder).values())
    for agency in AGENCIES:
        for index in range(len(world.agreement.passes)):
            for block in world.table(agency, pass_part(index)).column("block").to_pylist():
                # 12 digits of a 64-bit number are enough to tell, and survive rounding to a double.
                assert str(abs(block))[:12].encode() not in shown
        for sealed in world.table(agency, "leads").column("sealed").to_pylist():
            assert sealed.hex().encode() not in shown
    rows = pq.read_table(run.folder / "links.parquet").to_pylist()
    # Of a pattern nothing but the levels of the comparisons can be read: 4 bits each.
    patterns = [row.pop("pattern") for row in rows]
    assert all(
        pattern is None or pattern < 2 ** (PATTERN_BITS * (len(COMPARISONS) + 1)) for pattern in patterns
    )
    numbers = {value for row in rows for value in row.values()}
    largest = max(sender.subjects for sender in run.result.senders)
    assert max(n for n in numbers if isinstance(n, int)) < max(largest, 2 ** len(world.agreement.passes))


def test_files_agree_with_the_result(run: _Run, world: World) -> None:
    """Links and people on disk are those of the result, in the agencies' own numbers."""
    first = {sender.agency: sender.first_subject for sender in run.result.senders}
    people = pq.read_table(run.folder / "people.parquet").to_pylist()
    found = {row["subject"] + first[row["agency"]]: row["person"] for row in people}
    assert found == dict(enumerate(run.result.clusters.person.tolist()))
    rows = pq.read_table(run.folder / "links.parquet").to_pylist()
    ends = [tuple(row[f"subject_{side}"] + first[row[f"agency_{side}"]] for side in "lr") for row in rows]
    kept, ties = run.result.links, run.result.ties
    compared = [row for row in rows if row["pattern"] is not None]
    assert rows[: len(kept.left)] == compared
    assert ends[: len(kept.left)] == list(zip(kept.left.tolist(), kept.right.tolist(), strict=True))
    assert [row["match_weight"] for row in compared] == kept.weight.tolist()
    assert [row["match_probability"] for row in compared] == kept.probability.tolist()
    assert ends == list(zip(ties.left.tolist(), ties.right.tolist(), strict=True))
    assert [row["final_probability"] for row in rows] == ties.probability.tolist()
    summary = json.loads((run.folder / "run.json").read_text())
    assert summary == json.loads(json.dumps(summary_of(run.result, world.agreement)))
    assert summary["privacy"]["d"] == pytest.approx(2 * sum(summary["privacy"]["lambda"].values()))


def test_pairs_that_were_not_compared_have_no_score(run: _Run) -> None:
    """A pair that is one person through others has a final probability, and neither weight, pattern nor pass."""
    people = {
        (row["agency"], row["subject"]): row["person"]
        for row in pq.read_table(run.folder / "people.parquet").to_pylist()
    }
    rows = pq.read_table(run.folder / "links.parquet").to_pylist()
    implied = [row for row in rows if row["pattern"] is None]
    assert implied
    scores = ("match_weight", "match_probability", "pair_weight", "agencies_weight")
    for row in rows:
        missing = [row[name] is None for name in scores]
        assert missing == [row["pattern"] is None] * len(scores)
        assert (row["found_by"] == 0) == (row["pattern"] is None)
        assert 0 <= row["final_probability"] <= 1
        if row["pattern"] is None:
            ends = [people[row[f"agency_{side}"], row[f"subject_{side}"]] for side in "lr"]
            assert ends[0] == ends[1]
    assert json.loads((run.folder / "run.json").read_text())["settling"]["implied"] == len(implied)


def test_the_summary_says_what_agencies_share(run: _Run) -> None:
    """Each pair of agencies and each agency is told once, with the shift that its links got; partners as directed."""
    summary = json.loads((run.folder / "run.json").read_text())
    settling, settled = summary["settling"], run.result.settled
    names = [sender.agency for sender in run.result.senders]
    assert sorted(names) == sorted(AGENCIES)
    assert [each["agencies"] for each in settling["shared"]] == [
        list(pair) for pair in combinations(names, 2)
    ]
    assert list(settling["repeated"]) == names
    rows = pq.read_table(run.folder / "links.parquet").to_pylist()
    shift = {tuple(each["agencies"]): each["shift"] for each in settling["shared"]}
    shift |= {(name, name): each["shift"] for name, each in settling["repeated"].items()}
    for row in rows:
        if row["pattern"] is not None:
            assert row["agencies_weight"] == pytest.approx(shift[row["agency_l"], row["agency_r"]], abs=6e-4)
    expected: defaultdict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        expected[row["agency_l"], row["agency_r"]] += row["match_probability"] or 0.0
    for each in settling["shared"]:
        sizes = [summary["senders"][name]["subjects"] for name in each["agencies"]]
        # Of a record of the first agency, partners in the second; then the other way round.
        partners = [expected[tuple(each["agencies"])] / (size + 1) for size in sizes]
        assert each["partners"] == pytest.approx(partners, abs=1e-3)
    assert settling["repeated"][names[0]]["records"] == pytest.approx(settled.repeated[0], abs=1e-4)


def test_unsettled_links_stand_beside_settled_ones(run: _Run) -> None:
    """Where no other record fits either of two, the weight of the pair by itself is changed by its agencies alone."""
    rows = [row for row in pq.read_table(run.folder / "links.parquet").to_pylist() if row["found_by"]]
    inside = [row for row in rows if row["agency_l"] == row["agency_r"]]
    assert inside
    for row in inside:  # links within an agency have no rivals
        assert row["match_weight"] == pytest.approx(row["pair_weight"] + row["agencies_weight"], abs=3e-6)
    assert any(abs(row["match_weight"] - row["pair_weight"] - row["agencies_weight"]) > 1 for row in rows)


def test_erasing_takes_out_pairs_that_were_not_compared(run: _Run, tmp_path: Path) -> None:
    """Every row about a subject goes, with a score or without; the others stay as they were, empty cells too."""
    path = tmp_path / "links.parquet"
    path.write_bytes((run.folder / "links.parquet").read_bytes())
    before = pq.read_table(path)
    implied = next(row for row in before.to_pylist() if row["pattern"] is None)
    agency, number = implied["agency_l"], implied["subject_l"]
    left = [
        row
        for row in before.to_pylist()
        if (agency, number) not in {(row[f"agency_{side}"], row[f"subject_{side}"]) for side in "lr"}
    ]
    gone = Subjects(numbers={agency: frozenset([number])})
    told = rewrite_parquet(path, gone, act=False)
    assert told == rewrite_parquet(path, gone, act=True)
    assert told.removed == before.num_rows - len(left) >= 2
    after = pq.read_table(path)
    assert after.schema.equals(before.schema)
    assert after.to_pylist() == left
    # Somebody else's erasure leaves the pair, with its empty cells.
    path.write_bytes((run.folder / "links.parquet").read_bytes())
    other = next(
        row["subject_l"]
        for row in before.to_pylist()
        if (row["agency_l"], row["subject_l"])
        not in {(implied[f"agency_{s}"], implied[f"subject_{s}"]) for s in "lr"}
        and row["agency_l"] == agency
    )
    rewrite_parquet(path, Subjects(numbers={agency: frozenset([other])}), act=True)
    assert implied in pq.read_table(path).to_pylist()


def test_window_ends_where_it_is_told_to(run: _Run) -> None:
    """`as_of` is obeyed."""
    assert run.result.window.as_of == AS_OF


def test_window_without_a_last_day(world: World, tmp_path: Path) -> None:
    """Without `as_of` the window ends with the day that the agencies sealed for, though nobody had contact on it."""
    later = AS_OF + timedelta(days=1)
    alone = [world.seal(AGENCIES[0], tmp_path / "later.tally", as_of=later)]
    found = link(
        alone,
        tmp_path / "run",
        agreement=world.agreement,
        unit=world.unit,
        known=world.public,
        created_at=NOW,
    )
    assert (
        max(int(each.contacts.day.max()) for each in world.subjects.values())
        < (later - date(1970, 1, 1)).days
    )
    assert found.window.as_of == later


def _sender(unit: Any, contacts_after: object) -> Any:
    manifest = unit.senders[0].manifest
    facts = {**manifest.facts, "contacts_after": contacts_after}
    return replace(unit.senders[0], manifest=replace(manifest, facts=facts))


def test_no_sender_moves_the_window_into_the_future(unit: Any) -> None:
    """A date after the day of the run does not count, and what is no date is refused."""
    far = last_day([_sender(unit, "2099-01-01")], unit.con, contact_months=12, created_at=NOW)
    assert far == NOW.date()
    with pytest.raises(SchemaMismatch):
        last_day([_sender(unit, "2025-06-30'; --")], unit.con, contact_months=12, created_at=NOW)


@pytest.mark.parametrize("months", [1, 2, 6, 12, 36])
def test_a_last_day_reaches_every_contact_that_was_sealed_for_it(unit: Any, months: int) -> None:
    """Whatever day agencies sealed for, the default window does not begin too early."""
    with connect(threads=1) as con:
        con.execute("CREATE TABLE contacts (day DATE)")
        _check_every_day(con, unit, months)


def _check_every_day(con: duckdb.DuckDBPyConnection, unit: Any, months: int) -> None:
    for day in range(0, 731, 2 if months == 12 else 5):
        sealed_for = date(2023, 6, 1) + timedelta(days=day)
        senders = [_sender(unit, first_day(sealed_for, months).isoformat())]
        last = last_day(senders, con, contact_months=months, created_at=NOW)
        assert last >= sealed_for - timedelta(days=3)
        require_contacts_from(senders, con, months=months, as_of=last)


def test_passes_over_the_budget_are_not_linked(world: World, tmp_path: Path) -> None:
    """Passes that show more than the agreement allows, each or together, stop the run."""
    lambdas = {"a": 0.03, "b": 0.04}
    for budget, fault in (
        (Budget(d=1.0, lambda_=0.035), "pass b"),
        (Budget(d=0.13, lambda_=0.05), "d = 0.140"),
    ):
        with pytest.raises(LinkageError, match=fault):
            require_budget(lambdas, replace(world.agreement, budget=budget))
    require_budget(lambdas, replace(world.agreement, budget=Budget(d=0.141, lambda_=0.04)))
    with pytest.raises(LinkageError, match="unrelated records"):
        world.link(tmp_path / "run", agreement=replace(world.agreement, budget=Budget(d=0.2, lambda_=0.05)))
    assert list(tmp_path.iterdir()) == []


def test_window_before_the_contacts_that_were_sent(world: World, tmp_path: Path) -> None:
    """A window that begins earlier than an agency's contacts is refused, not filled with half of them."""
    with pytest.raises(LinkageError, match="sent no contacts before"):
        world.link(tmp_path / "run", as_of=AS_OF - timedelta(days=1))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_remembers_no_package(world: World, tmp_path: Path) -> None:
    """Packages are remembered when the run is whole, so that a failed run can be tried again."""
    register = tmp_path / "register.json"

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        yield
        if name == STAGES[-1]:
            raise LinkageError("stop")

    with pytest.raises(LinkageError, match="stop"):
        world.link(tmp_path / "run", stage=stage, guard=ReplayGuard(register))
    assert not register.exists()
    world.link(tmp_path / "run", guard=ReplayGuard(register))
    assert register.exists()


def test_lambda_from_the_agencies_counts() -> None:
    """The mean rate, weighted by all pairs of an agency, times the other records, halved: a pair belongs to two."""
    counts = [
        {"pairs": 1000, "passes": {"nhs_number": 1, "dob+forename": 20}},
        {"pairs": 3000, "passes": {"dob+forename": 60}},
    ]
    passes = [parse_pass("nhs_number"), parse_pass("dob+forename")]
    found = planned_lambda(passes, counts, sizes=[100, 301])
    share = 100 * 99 / (100 * 99 + 301 * 300)
    assert found == pytest.approx({"nhs_number": 0.001 * share * 200, "dob+forename": 0.02 * 200})
    assert planned_lambda(passes[1:], counts[:1], sizes=[50]) == pytest.approx(
        {"dob+forename": 49 * 0.02 / 2}
    )
