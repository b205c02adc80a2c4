"""Explaining: the steps of a pair add up to its score, and charts need no network."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from linkage_world import AGENCIES, World

from cli import main
from linkage.charts import model_html, pair_html
from linkage.explain import (
    decode,
    explain_pair,
    explanation_text,
    likelihood,
    model_of,
    model_text,
    parse_label,
)
from schemas.errors import InputError, ModelInvalid
from schemas.scheme import COMPARISONS


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder."""
    out = tmp_path_factory.mktemp("explained") / "run"
    world.link(out)
    return out


@pytest.fixture(scope="module")
def ties(folder: Path) -> list[dict[str, Any]]:
    """All pairs on which the run has an opinion."""
    return list(pq.read_table(folder / "links.parquet").to_pylist())


@pytest.fixture(scope="module")
def pairs(ties: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of them that were compared."""
    return [row for row in ties if row["pattern"] is not None]


def _labels(row: dict[str, Any]) -> tuple[str, str]:
    return f"{row['agency_l']}:{row['subject_l']}", f"{row['agency_r']}:{row['subject_r']}"


def test_steps_add_up_to_the_score(folder: Path, pairs: list[dict[str, Any]]) -> None:
    """Prior, levels and family correction add up to the weight that Splink gave; with the last two, to the score."""
    by_pattern = {row["pattern"]: row for row in pairs}
    assert len(by_pattern) > 60
    for row in list(by_pattern.values())[::7]:
        found = explain_pair(folder, *_labels(row))
        *own, agencies, others = found.steps
        assert [step.name for step in own] == ["prior", *(c.name for c in COMPARISONS), "family"]
        assert (agencies.name, others.name) == ("agencies", "others")
        assert own[-1].total == pytest.approx(row["pair_weight"], abs=2e-6) == found.pair_weight
        assert agencies.weight == row["agencies_weight"]
        assert others.total == pytest.approx(row["match_weight"], abs=1e-9) == found.match_weight
        assert found.match_probability == pytest.approx(1 / (1 + 2**-others.total), abs=1e-6)
        assert found.final_probability == row["final_probability"]
        for before, after in zip(found.steps, found.steps[1:], strict=False):
            assert after.total == pytest.approx(before.total + after.weight)


def test_other_records_are_a_step_of_their_own(folder: Path, pairs: list[dict[str, Any]]) -> None:
    """Within an agency, where a record has no rivals, `others` adds nothing; between agencies it adds or takes."""
    inside = [row for row in pairs if row["agency_l"] == row["agency_r"]]
    across = [row for row in pairs if row["agency_l"] != row["agency_r"]]
    for row in inside[:5]:
        assert explain_pair(folder, *_labels(row)).steps[-1].weight == pytest.approx(0, abs=5e-6)
    moved = [row["match_weight"] - row["pair_weight"] - row["agencies_weight"] for row in across]
    for row in (across[moved.index(min(moved))], across[moved.index(max(moved))]):
        found = explain_pair(folder, *_labels(row))
        given = row["match_weight"] - row["pair_weight"] - row["agencies_weight"]
        assert abs(given) > 1
        assert found.steps[-1].weight == pytest.approx(given, abs=5e-6)
        assert f"{found.steps[-1].weight:+.2f}" in explanation_text(found)


def test_either_order_of_the_pair(folder: Path, pairs: list[dict[str, Any]]) -> None:
    """A pair has one explanation, whichever record is named first."""
    a, b = _labels(pairs[0])
    first, second = asdict(explain_pair(folder, a, b)), asdict(explain_pair(folder, b, a))
    assert first | {"record_a": b, "record_b": a} == second


def test_what_a_reviewer_sees_can_be_explained(folder: Path) -> None:
    """Every pair of the review file has an explanation that says why it stands there."""
    rows = pq.read_table(folder / "review.parquet").to_pylist()
    assert rows
    for row in rows[:5]:
        found = explain_pair(folder, row["record_a"], row["record_b"])
        assert (found.review, found.joined) == (row["reason"], row["joined"])
        assert "For a person to look at" in explanation_text(found)


@pytest.mark.parametrize(
    ("joined", "probability", "words"),
    [
        (True, 0.9, "one person"),
        (True, 0.4, "through other records: this link alone is too weak"),
        (False, 0.9, "it was cut"),
        (False, 0.4, "two people"),
    ],
)
def test_the_verdict_says_whether_the_link_is_why(
    folder: Path, pairs: list[dict[str, Any]], joined: bool, probability: float, words: str
) -> None:
    """A weak link of two records that others hold together is not told as if it had joined them."""
    found = explain_pair(folder, *_labels(pairs[0]))
    assert found.threshold == json.loads((folder / "run.json").read_text())["settings"]["threshold"]
    made = replace(found, joined=joined, match_probability=probability)
    assert made.verdict.endswith(words)
    assert made.verdict in explanation_text(made)


def test_one_person_through_others_alone(folder: Path, ties: list[dict[str, Any]]) -> None:
    """Of a pair that was never compared and is one person, the final probability is told, and that others are why."""
    implied = [row for row in ties if row["pattern"] is None]
    assert implied
    for row in implied:
        for pair in (_labels(row), _labels(row)[::-1]):
            with pytest.raises(InputError, match="met in no pass") as told:
                explain_pair(folder, *pair)
            assert "one person through other records, with probability" in str(told.value)
            assert f"{row['final_probability']:.4f}" in str(told.value)


@pytest.mark.parametrize(
    ("joined", "match", "final", "words"),
    [
        (True, 0.2, 0.9312, "Through other records, the probability that they are one person is 0.9312."),
        (False, 0.8, 0.08, "As the link was cut, the probability that they are one person is 0.0800."),
        (True, 0.9312, 0.9312, None),
        (False, 0.08, 0.08, None),
    ],
)
def test_what_other_records_make_of_a_score(
    folder: Path, pairs: list[dict[str, Any]], joined: bool, match: float, final: float, words: str | None
) -> None:
    """Where other records lift a pair, or cut it, text and page say with which probability it ends; else nothing."""
    found = explain_pair(folder, *_labels(pairs[0]))
    made = replace(found, joined=joined, match_probability=match, final_probability=final)
    assert made.final == words
    for shown in (explanation_text(made), pair_html(made, model_of(folder)[1]["splink"])):
        assert (words in shown) if words else ("the probability that they are" not in shown)


def test_a_run_of_an_earlier_release_is_refused(
    folder: Path, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    """A run folder whose links were never settled is refused by `explain` in one sentence that says what to do."""
    for path in folder.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    earlier = pq.read_table(folder / "links.parquet")
    earlier = earlier.drop_columns(["pair_weight", "agencies_weight", "final_probability"])
    pq.write_table(earlier, tmp_path / "links.parquet")
    told = CliRunner().invoke(main, ["explain", str(tmp_path), "--pair", *_labels(pairs[0])])
    assert told.exit_code == 2
    assert "links.parquet cannot be read, or is of another release." in told.stderr
    assert "Explain a run with the release that made it." in told.stderr
    assert "Traceback" not in told.stderr


def test_an_analyst_can_read_it_without_a_manual(folder: Path, pairs: list[dict[str, Any]]) -> None:
    """Words are whole, figures say what they are, and the bound that decides stands beside the score."""
    for row in pairs[:40]:
        found = explain_pair(folder, *_labels(row))
        text = explanation_text(found)
        for step in found.steps:
            assert set(step.label.split()) <= set(text.split())
        assert f"links are believed from {found.threshold} on" in text
        assert "how often two records of one person agree like this" in text
        assert f"{len(found.found_by)} of {found.passes} passes" in text
        assert "e-0" not in text


@pytest.mark.parametrize(
    ("share", "words"),
    [(None, ""), (0.9648, "0.965"), (0.01, "0.01"), (0.00134, "1 in 746"), (2.685e-5, "1 in 37,200")],
)
def test_small_probabilities_are_told_as_one_in_so_many(share: float | None, words: str) -> None:
    """Nobody has to read 2.685e-05."""
    assert likelihood(share) == words


@pytest.mark.parametrize(
    "text", ["police", "police:", ":3", "police:x", "police:-1", "police:٣", "police:9999999999"]
)
def test_what_is_no_label(text: str) -> None:
    """A label is an agency, a colon and a row number."""
    with pytest.raises(InputError):
        parse_label(text)


def test_pairs_that_cannot_be_explained(folder: Path, ties: list[dict[str, Any]], tmp_path: Path) -> None:
    """A record that does not exist, the same record twice, a pair that never met, and no run at all."""
    met = {frozenset(_labels(row)) for row in ties}
    a = f"{AGENCIES[0]}:0"
    stranger = next(
        f"{AGENCIES[1]}:{n}" for n in range(50) if frozenset((a, f"{AGENCIES[1]}:{n}")) not in met
    )
    for pair, message in (
        ((a, "nobody:0"), "no such"),
        ((a, f"{AGENCIES[0]}:99999999"), "no such"),
        ((a, a), "one record"),
        ((a, stranger), "met in no pass"),
    ):
        with pytest.raises(InputError, match=message):
            explain_pair(folder, *pair)
    with pytest.raises(InputError, match="no run folder"):
        explain_pair(tmp_path, a, stranger)


def test_an_edited_model_is_not_explained(folder: Path, pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    """A model file in which only one of its two forms was changed is refused."""
    for path in folder.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    document = json.loads((tmp_path / "model.json").read_text())
    document["splink"]["probability_two_random_records_match"] = 0.25
    (tmp_path / "model.json").write_text(json.dumps(document))
    with pytest.raises(ModelInvalid, match="edited"):
        explain_pair(tmp_path, *_labels(pairs[0]))


def _without_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def _loads_nothing(page: str) -> bool:
    """No element of the page names something to fetch."""
    shown = re.sub(r"(<script[^>]*>).*?</script>", r"\1", page, flags=re.DOTALL)
    return (
        not re.search(r"<(script|link|img|iframe)\b[^>]*\b(src|href)\s*=", shown) and "jsdelivr" not in page
    )


def test_charts_are_whole_files(folder: Path, pairs: list[dict[str, Any]]) -> None:
    """Both pages carry their scripts and say in text what the charts draw."""
    run_id, document = model_of(folder)
    found = explain_pair(folder, *_labels(pairs[0]))
    page = pair_html(found, document["splink"])
    assert _loads_nothing(page)
    assert "vegaEmbed" in page
    assert ".vega-embed details" in page  # no menu that would send the chart to a web site
    for step in found.steps:
        assert step.label in _without_scripts(page)
    model_page = model_html(run_id, document["splink"])
    assert _loads_nothing(model_page)
    assert model_page.count("<figure>") == 2


def test_the_waterfall_shows_the_levels_of_the_pair(folder: Path, pairs: list[dict[str, Any]]) -> None:
    """Splink's own chart of the pair has a bar a comparison with the weights of the explanation."""
    _, document = model_of(folder)
    row = max(pairs, key=lambda each: each["match_weight"])
    found = explain_pair(folder, *_labels(row))
    page = pair_html(found, document["splink"])
    bars = [float(text) for text in re.findall(r'"log2_bayes_factor": (-?[0-9.]+(?:e-?[0-9]+)?)', page)]
    for step in found.steps[:-2]:
        assert any(math.isclose(step.weight, bar, abs_tol=1e-6) for bar in bars), step.name
    # Splink knows of one pair only: its last bar is the pair by itself, and the caption says so.
    assert not math.isclose(found.pair_weight, found.match_weight, abs_tol=1e-3)
    assert [
        math.isclose(each, bars[-1], abs_tol=1e-6) for each in (found.pair_weight, found.match_weight)
    ] == [
        True,
        False,
    ]
    assert "before the other links are weighed" in _without_scripts(page)


def test_patterns_decode_to_levels(pairs: list[dict[str, Any]]) -> None:
    """Every gamma lies within its comparison's levels."""
    for row in pairs[::5]:
        gammas = decode(row["pattern"])
        assert all(-1 <= gammas[c.name] <= len(c.levels) for c in COMPARISONS)


@pytest.fixture
def runner() -> CliRunner:
    """A command line."""
    return CliRunner()


def test_the_command(runner: CliRunner, folder: Path, pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    """Text, JSON and page of a pair and of the model; no key is asked for."""
    pair = _labels(pairs[0])
    told = runner.invoke(
        main, ["explain", str(folder), "--pair", *pair, "--html", str(tmp_path / "pair.html")]
    )
    assert told.exit_code == 0, told.output
    assert "Match weight" in told.output
    assert (tmp_path / "pair.html").stat().st_size > 500_000
    told = runner.invoke(main, ["explain", str(folder), "--pair", *pair, "--json"])
    assert json.loads(told.output)["match_weight"] == pairs[0]["match_weight"]
    told = runner.invoke(main, ["explain", str(folder), "--json"])
    assert json.loads(told.output)["model_schema"] == 1
    told = runner.invoke(main, ["explain", str(folder)])
    assert told.output.strip() == model_text(*model_of(folder)).strip()
    wrong = runner.invoke(main, ["explain", str(folder), "--pair", "police:1", "nobody:2"])
    assert wrong.exit_code == 2
