"""Are two installations the same normaliser? And which rules fit a column?"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from hashing.normalise import _words
from hashing.normalise._folding import nickname_table
from hashing.normalise.address import derive_address, normalise_address
from hashing.normalise.dates import derive_date, normalise_date
from hashing.normalise.identifiers import normalise_nhs_number, normalise_uprn
from hashing.normalise.names import alternative_names, derive_name, normalise_forename, normalise_surname
from hashing.normalise.outcome import Normalised, Outcome
from hashing.normalise.postcode import derive_postcode, normalise_postcode
from hashing.normalise.sex import normalise_sex

NORMALISER_VERSION = "1"
_PROBE_DAY = date(2026, 6, 30)
_FIT_SHARE = 0.5


def _plain_data(result: Normalised, derived: dict[str, pa.StringArray] | None = None) -> list[Any]:
    columns = {name: values.to_pylist() for name, values in (derived or {}).items()}
    return [result.values.to_pylist(), result.outcomes.tolist(), columns]


def _outputs(probes: dict[str, list[str]]) -> dict[str, Any]:
    """Everything that the package makes of the probe values."""
    columns = {field: pa.array(values, pa.string()) for field, values in probes.items()}
    forename, surname = normalise_forename(columns["forename"]), normalise_surname(columns["surname"])
    birth = normalise_date(columns["date"], formats=None, today=_PROBE_DAY, is_birth=True)
    record = normalise_date(columns["date"], formats=None, today=_PROBE_DAY, is_birth=False)
    address = normalise_address(columns["address"])
    made: dict[str, Any] = {
        "forename": _plain_data(forename, derive_name(forename.values, kind="forename")),
        "surname": _plain_data(surname, derive_name(surname.values, kind="surname")),
        "alternatives": [
            alternative_names(columns["forename"]),
            alternative_names(columns["surname"], kind="surname"),
        ],
        "birth": _plain_data(birth, derive_date(birth.values)),
        "record": _plain_data(record),
        "uprn": _plain_data(normalise_uprn(columns["uprn"])),
        "address": _plain_data(address, derive_address(address.values)),
        "sex": _plain_data(normalise_sex(columns["sex"], codes=None)),
    }
    for standard in ("uk", "generic"):
        postcode = normalise_postcode(columns["postcode"], standard=standard)
        made[f"postcode {standard}"] = _plain_data(
            postcode, derive_postcode(postcode.values, standard=standard)
        )
    for scheme in ("nhs", "generic"):
        made[f"nhs_number {scheme}"] = _plain_data(
            normalise_nhs_number(columns["nhs_number"], standard=scheme)
        )
    return made


@lru_cache(maxsize=1)
def normaliser_fingerprint() -> bytes:
    """SHA-256 over the version, the shipped lists, the nickname table and the outputs for the probe list.

    Two installations with other rules, other lists or another version of a library that changes any
    output differ here. The probe values are invented.

    Returns:
        32 bytes.
    """
    probes = json.loads(_words.data_bytes("probes.json"))
    digest = hashlib.sha256(f"tallystick normaliser {NORMALISER_VERSION}\n".encode())
    for name in _words.DATA_FILES:
        digest.update(hashlib.sha256(_words.data_bytes(name)).digest())
    for content in (sorted(nickname_table().items()), _outputs(probes)):
        text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        digest.update(hashlib.sha256(text.encode("ascii")).digest())
    return digest.digest()


def guess_standards(
    field: Literal["postcode", "nhs_number"], raw: pa.StringArray
) -> Literal["uk", "nhs", "generic"]:
    """Which rule a column follows: `generic` when under half of its usable values fit the UK rule.

    Args:
        field: Which field the column is.
        raw: n raw values; a sample is enough.

    Returns:
        `uk` or `nhs`, or `generic`. A column without usable values keeps the UK rule.
    """
    if field == "postcode":
        native: Literal["uk", "nhs"] = "uk"
        outcomes = normalise_postcode(raw, standard="uk").outcomes
    else:
        native = "nhs"
        outcomes = normalise_nhs_number(raw, standard="nhs").outcomes
    fit, unfit = int(np.sum(outcomes == Outcome.OK)), int(np.sum(outcomes == Outcome.INVALID))
    return native if fit >= _FIT_SHARE * (fit + unfit) else "generic"
