"""The model file of a run: written with each run, and read again to score another one without training.

Form: schemas/model-v1.schema.json. A model is taken only if it fits this release exactly: every comparison and level,
every probability in range. Its m, u and family ratios are reused; the prior never is, since it belongs to a population.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from governance.agreement import Agreement
from linkage.model import Parameters, level_names, splink_settings
from linkage.training import Patterns, Trained, estimate_prior, pool_u, prior_m
from schemas.errors import ModelInvalid, UntrainedLevel
from schemas.scheme import COMPARISONS, FAMILY_LEVELS

LARGEST_FILE = 4 * 1024 * 1024
"""Bytes; a model is a few kilobytes of probabilities."""

_TOLERANCE = 1e-6
_RETRAIN = "Link without --model, or use the model of a run of this release."


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedModel:
    """A model file that has the right form.

    Attributes:
        parameters: Its m, u, prior and family ratios; levels may be missing until `complete`.
        agreement_digest: The agreement it was trained under.
        run_id: The run it was trained in.
        seen: Comparison -> matches whose level was seen in training.
    """

    parameters: Parameters
    agreement_digest: str
    run_id: str
    seen: Mapping[str, float]


@cache
def _validator() -> Draft202012Validator:
    text = resources.files("schemas").joinpath("model-v1.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(text))


def model_document(
    trained: Trained,
    agreement: Agreement,
    *,
    run_id: str,
    subjects: int,
    seen: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return what `model.json` says of a model.

    Args:
        trained: The model.
        agreement: The agreement of the run.
        run_id: The run it was trained in.
        subjects: Its subjects.
        seen: What an earlier run had seen, when the model is reused; from the training sessions when None.
    """
    parameters = trained.parameters
    if seen is None:
        seen = {
            comparison.name: sum(s.matches for s in trained.sessions if comparison.name in s.estimated)
            for comparison in COMPARISONS
        }
    return {
        "model_schema": 1,
        "scheme": "block-sealed-v1",
        "agreement": {"id": agreement.id, "version": agreement.version, "digest": agreement.digest},
        "run": run_id,
        "subjects": subjects,
        "parameters": {
            "prior": parameters.prior,
            "m": {name: dict(levels) for name, levels in parameters.m.items()},
            "u": {name: dict(levels) for name, levels in parameters.u.items()},
            "family": dict(parameters.family),
        },
        "seen": dict(seen),
        "splink": splink_settings(parameters),
    }


def read_model_document(path: Path) -> dict[str, Any]:
    """Read a model file and check its form.

    Raises:
        ModelInvalid: It cannot be read, is no model file, or is of another version.
    """
    where = str(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ModelInvalid("the file is larger than 4 MiB, and a model is not.", where=where)
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _text: None)
    except OSError as error:
        raise ModelInvalid(
            f"cannot be read ({error.strerror}).", where=where, remedy="Check the path."
        ) from None
    except (ValueError, RecursionError):
        raise ModelInvalid("this is not a JSON document.", where=where) from None
    version = document.get("model_schema") if isinstance(document, dict) else None
    if version != 1:
        raise ModelInvalid(
            "this is no model file of version 1.", where=where, remedy="Use the model.json of a run."
        )
    faults = sorted(_validator().iter_errors(document), key=lambda fault: list(map(str, fault.absolute_path)))
    if faults:
        places = "; ".join(
            f"{'.'.join(map(str, fault.absolute_path)) or '(top)'} breaks the rule “{fault.validator}”"
            for fault in faults[:5]
        )
        raise ModelInvalid(f"{places}.", where=where, remedy=_RETRAIN)
    return dict(document)


def load_model(path: Path) -> SavedModel:
    """Read a model file.

    Raises:
        ModelInvalid: It has not the right form, knows what this release does not, or contradicts itself.
    """
    document = read_model_document(path)
    stated = document["parameters"]
    model = SavedModel(
        parameters=Parameters(m=stated["m"], u=stated["u"], prior=stated["prior"], family=stated["family"]),
        agreement_digest=document["agreement"]["digest"],
        run_id=document["run"],
        seen=document["seen"],
    )
    _require_known(model.parameters, str(path))
    _require_sums(model.parameters, str(path))
    if not missing_levels(model.parameters) and document["splink"] != splink_settings(model.parameters):
        raise ModelInvalid(
            "its Splink settings are not those of its parameters: one of the two was edited.",
            where=str(path),
            remedy=_RETRAIN,
        )
    return model


def _require_known(parameters: Parameters, where: str) -> None:
    known = {comparison.name: set(level_names(comparison)) for comparison in COMPARISONS}
    for table in (parameters.m, parameters.u):
        for comparison, levels in table.items():
            extra = set(levels) - known.get(comparison, set())
            if comparison not in known or extra:
                listed = (
                    f"level {sorted(extra)[0]} of comparison {comparison}"
                    if comparison in known
                    else comparison
                )
                raise ModelInvalid(f"this release does not compare {listed}.", where=where, remedy=_RETRAIN)
    extra = set(parameters.family) - {level.name for level in FAMILY_LEVELS}
    if extra:
        raise ModelInvalid(
            f"this release knows no family level {sorted(extra)[0]}.", where=where, remedy=_RETRAIN
        )


def _require_sums(parameters: Parameters, where: str) -> None:
    for name, table in (("m", parameters.m), ("u", parameters.u)):
        for comparison, levels in table.items():
            total = math.fsum(levels.values())
            if total > 1 + _TOLERANCE:
                raise ModelInvalid(
                    f"the {name} probabilities of {comparison} add up to {total:.4f}.",
                    where=where,
                    remedy=_RETRAIN,
                )


def missing_levels(parameters: Parameters) -> list[str]:
    """Return the levels of this release for which there is no m, no u or no family ratio, as `comparison.level`."""
    missing = [
        f"{comparison.name}.{level}"
        for comparison in COMPARISONS
        for level in level_names(comparison)
        if level not in parameters.m.get(comparison.name, {})
        or level not in parameters.u.get(comparison.name, {})
    ]
    return missing + [
        f"family.{level.name}" for level in FAMILY_LEVELS if level.name not in parameters.family
    ]


def complete(
    parameters: Parameters, counted: Sequence[Mapping[str, Any]], *, fill: bool, where: str = "--model"
) -> Parameters:
    """Return parameters with every level of this release.

    A level without a probability stops the run. With `fill`, a missing m is the shipped prior and a missing u the rate
    that the agencies of this run counted; the other levels of the comparison shrink so that all add up to one. A
    missing family ratio is 1, no correction.

    Args:
        parameters: Those of a model file.
        counted: What each agency of this run counted.
        fill: Whether to fill gaps.
        where: Where the model came from, for the message.

    Raises:
        UntrainedLevel: A level is missing and may not be filled.
    """
    missing = missing_levels(parameters)
    if not missing:
        return parameters
    if not fill:
        raise UntrainedLevel(
            f"the model has no probability for {', '.join(missing[:5])}"
            + (f" and {len(missing) - 5} more levels." if len(missing) > 5 else "."),
            where=where,
            remedy="Link without --model, or add --fill-model to take shipped priors and this run's counts for them.",
        )
    return Parameters(
        m=_filled(parameters.m, prior_m()),
        u=_filled(parameters.u, pool_u(counted)),
        prior=parameters.prior,
        family={level.name: parameters.family.get(level.name, 1.0) for level in FAMILY_LEVELS},
    )


def reuse(patterns: Patterns, parameters: Parameters, *, subjects: int) -> Trained:
    """Return a model that is not trained on this run but for its prior, which belongs to a population.

    Args:
        patterns: Comparison patterns of all candidates of this run.
        parameters: Those of an earlier run, complete.
        subjects: Subjects of this run.
    """
    prior = parameters.prior
    if len(patterns.codes):
        prior = estimate_prior(patterns, parameters.m, parameters.u, parameters.family, subjects=subjects)
    return Trained(parameters=replace(parameters, prior=prior), sessions=())


def _filled(
    stated: Mapping[str, Mapping[str, float]], usual: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    filled = {}
    for comparison in COMPARISONS:
        own = stated.get(comparison.name, {})
        added = {
            level: usual[comparison.name][level] for level in level_names(comparison) if level not in own
        }
        room = max(1.0 - math.fsum(added.values()), 1e-9)
        scale = room / math.fsum(own.values()) if own else 0.0
        filled[comparison.name] = {
            level: added[level] if level in added else own[level] * (scale if added else 1.0)
            for level in level_names(comparison)
        }
    return filled
