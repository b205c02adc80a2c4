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
from linkage_world import AGENCIES, AS_OF, NOW, World

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
from linkage.run import link
from schemas.errors import InputError, ModelInvalid
from schemas.scheme import COMPARISONS


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder."""
    out = tmp_path_factory.mktemp("explained") / "run"
    link(
        world.packages,
        out,
        agreement=world.agreement,
        unit=world.unit,
        known=world.public,
        created_at=NOW,
        as_of=AS_OF,
    )
    return out


@pytest.fixture(scope="module")
def pairs(folder: Path) -> list[dict[str, Any]]:
    """All scored pairs of the run."""
    return list(pq.read_table(folder / "links.parquet").to_pylist())


def _labels(row: dict[str, Any]) -> tuple[str, str]:
    return f"{row['agency_l']}:{row['subject_l']}", f"{row['agency_r']}:{row['subject_r']}"


def test_steps_add_up_to_the_score(folder: Path, pairs: list[dict[str, Any]]) -> None:
    """Prior, levels and family correction add up to the weight that Splink gave the pair, to 6 decimals."""
    by_pattern = {row["pattern"]: row for row in pairs}
    assert len(by_pattern) > 60
    for row in list(by_pattern.values())[::7]:
        found = explain_pair(folder, *_labels(row))
        assert found.steps[-1].total == pytest.approx(row["match_weight"], abs=2e-6)
        assert found.match_probability == pytest.approx(1 / (1 + 2 ** -found.steps[-1].total), abs=1e-6)
        for before, after in zip(found.steps, found.steps[1:], strict=False):
            assert after.total == pytest.approx(before.total + after.weight)
        assert [step.name for step in found.steps] == ["prior", *(c.name for c in COMPARISONS), "family"]


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


def test_pairs_that_cannot_be_explained(folder: Path, pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    """A record that does not exist, the same record twice, a pair that never met, and no run at all."""
    met = {frozenset(_labels(row)) for row in pairs}
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
    for step in found.steps:
        assert any(math.isclose(step.weight, bar, abs_tol=1e-6) for bar in bars), step.name


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
