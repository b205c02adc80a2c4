"""Model files: written with each run, read strictly, reused without training."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linkage_world import World

from linkage.intake import counted
from linkage.model import Parameters, level_names, splink_settings
from linkage.reuse import complete, load_model, missing_levels
from linkage.run import RunResult
from linkage.training import pool_u, prior_m
from schemas.errors import ModelInvalid, UntrainedLevel
from schemas.scheme import COMPARISONS, FAMILY_LEVELS


@pytest.fixture(scope="module")
def first(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A run that trained its model."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    return folder, world.link(folder)


@pytest.fixture
def document(first: tuple[Path, RunResult]) -> dict[str, Any]:
    """Its model file."""
    return dict(json.loads((first[0] / "model.json").read_text()))


def _save(document: dict[str, Any], folder: Path, *, consistent: bool = True) -> Path:
    """Write a model file, its Splink settings those of its parameters where they can be made."""
    stated = document["parameters"]
    parameters = Parameters(m=stated["m"], u=stated["u"], prior=stated["prior"], family=stated["family"])
    if consistent and not missing_levels(parameters):
        document["splink"] = splink_settings(parameters)
    path = folder / "model.json"
    path.write_text(json.dumps(document))
    return path


def test_a_reused_model_scores_the_same(world: World, first: tuple[Path, RunResult], tmp_path: Path) -> None:
    """On the same packages a reused model gives every pair the weight that training gave it, and says so."""
    model = load_model(first[0] / "model.json")
    again = world.link(tmp_path / "run", model=model)
    assert again.links.left.tolist() == first[1].links.left.tolist()
    assert again.links.weight == pytest.approx(first[1].links.weight, abs=2e-4)  # the prior is found to 1e-6
    assert again.trained.sessions == ()
    told = json.loads((tmp_path / "run" / "run.json").read_text())["training"]["model"]
    assert told == {"run": world.run_id, "agreement": world.agreement.digest, "same_agreement": True}
    # What was seen in training goes along with the model.
    assert json.loads((tmp_path / "run" / "model.json").read_text())["seen"] == dict(model.seen)


def test_the_prior_is_never_reused(
    world: World, document: dict[str, Any], first: tuple[Path, RunResult], tmp_path: Path
) -> None:
    """A model from a much larger population does not bring its prior along."""
    document["parameters"]["prior"] = 1e-9
    again = world.link(tmp_path / "run", model=load_model(_save(document, tmp_path)))
    assert again.trained.parameters.prior == pytest.approx(first[1].trained.parameters.prior, rel=1e-3)


def _put(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for name in path[:-1]:
            document = document[name]
        document[path[-1]] = value

    return change


def _drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for name in path[:-1]:
            document = document[name]
        del document[path[-1]]

    return change


BAD = {
    "a later version": _put("model_schema", value=2),
    "no version": _drop("model_schema"),
    "another scheme": _put("scheme", value="block-sealed-v2"),
    "an unknown entry": _put("note", value="x"),
    "no parameters": _drop("parameters"),
    "no u": _drop("parameters", "u"),
    "m of zero": _put("parameters", "m", "sex", "exact", value=0),
    "m above one": _put("parameters", "m", "sex", "exact", value=1.5),
    "m no number": _put("parameters", "m", "sex", "exact", value="0.9"),
    "u not a number": _put("parameters", "u", "sex", "exact", value=math.nan),
    "levels that add up to more": _put("parameters", "u", "sex", "else", value=0.99),
    "an unknown comparison": _put("parameters", "m", "shoe_size", value={"exact": 0.9, "else": 0.1}),
    "an unknown level": _put("parameters", "m", "sex", "nearly", value=1e-9),
    "an unknown family level": _put("parameters", "family", "cousin", value=2.0),
    "a ratio below one": _put("parameters", "family", FAMILY_LEVELS[0].name, value=0.5),
    "a digest that is none": _put("agreement", "digest", value="sha256:00"),
}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_no_model(document: dict[str, Any], tmp_path: Path, fault: str) -> None:
    """Another version, an entry or level this release does not know, a probability out of range: all refused."""
    load_model(_save(copy.deepcopy(document), tmp_path))
    BAD[fault](document)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ModelInvalid):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b'"model"', b"null"])
def test_what_is_no_document(tmp_path: Path, content: bytes) -> None:
    """Anything else than a JSON object is refused, and so is a file that is not there."""
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(ModelInvalid):
        load_model(path)
    with pytest.raises(ModelInvalid):
        load_model(tmp_path / "missing.json")


def test_untrained_levels_stop_the_run(world: World, document: dict[str, Any], tmp_path: Path) -> None:
    """A level that the model lacks is named and stops the run, which leaves nothing behind."""
    del document["parameters"]["m"]["forename"]["nickname"]
    del document["parameters"]["family"][FAMILY_LEVELS[2].name]
    model = load_model(_save(document, tmp_path))
    with pytest.raises(UntrainedLevel, match=r"forename\.nickname, family\."):
        world.link(tmp_path / "run", model=model)
    assert not (tmp_path / "run").exists()


def test_untrained_levels_can_be_filled(
    world: World, document: dict[str, Any], unit: Any, tmp_path: Path
) -> None:
    """When asked to, gaps take the shipped prior and this run's counts, and every comparison still adds up to one."""
    del document["parameters"]["m"]["forename"]["nickname"]
    del document["parameters"]["u"]["dob"]
    model = load_model(_save(document, tmp_path))
    counts = counted(unit.senders)
    filled = complete(model.parameters, counts, fill=True)
    assert filled.m["forename"]["nickname"] == prior_m()["forename"]["nickname"]
    assert filled.u["dob"] == pytest.approx(pool_u(counts)["dob"])
    for table in (filled.m, filled.u):
        for comparison in COMPARISONS:
            assert list(table[comparison.name]) == level_names(comparison)
            assert math.fsum(table[comparison.name].values()) == pytest.approx(1, abs=1e-6)
    # What was stated keeps its proportions.
    stated = document["parameters"]["m"]["forename"]
    ratio = filled.m["forename"]["rare"] / filled.m["forename"]["exact"]
    assert ratio == pytest.approx(stated["rare"] / stated["exact"])
    found = world.link(tmp_path / "run", model=model, fill_model=True)
    assert found.clusters.count > 0
    assert missing_levels(load_model(tmp_path / "run" / "model.json").parameters) == []


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_filling_leaves_probabilities(
    data: st.DataObject,
) -> None:
    """Whatever levels are missing, what comes out is a probability for every level."""
    stated: dict[str, dict[str, float]] = {}
    for comparison in COMPARISONS:
        kept = data.draw(st.lists(st.sampled_from(level_names(comparison)), unique=True))
        stated[comparison.name] = {level: prior_m()[comparison.name][level] for level in kept}
    family = {level.name: 1.0 for level in FAMILY_LEVELS}
    empty = {
        "pairs": 10.0,
        "levels": {comparison.name: {"comparable": 10.0} for comparison in COMPARISONS},
    }
    given_parameters = Parameters(m=stated, u=stated, prior=0.01, family=family)
    filled = complete(given_parameters, [empty], fill=True)
    for table in (filled.m, filled.u):
        assert all(0 < value <= 1 for levels in table.values() for value in levels.values())
