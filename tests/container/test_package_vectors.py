"""Every way of failing has a file, and each file fails in exactly its own way."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import generate
import pytest
from package_forge import FOLDER, read_as_unit

from schemas import errors
from schemas.container import ReplayGuard, inspect_header
from schemas.identity import PrivateIdentity

VECTORS = json.loads((FOLDER / "vectors.json").read_text())
NOT_IN_A_FILE = {
    "LimitExceeded": "a file beyond the limits is too large to keep (test_stream.py)",
    "UnknownPart": "it is the reader's mistake (test_container.py)",
}


def outcome(
    vector: dict[str, Any], folder: Path, people: dict[str, PrivateIdentity]
) -> type[Exception] | None:
    """Take a vector in as the linkage unit; return the class of the failure."""
    guard = ReplayGuard()
    if vector["after"]:
        read_as_unit(folder / vector["after"], people, guard)
    try:
        read_as_unit(folder / vector["file"], people, guard)
    except errors.TallystickError as error:
        return type(error)
    return None


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["file"])
def test_vector(vector: dict[str, Any], people: dict[str, PrivateIdentity]) -> None:
    """The file opens, or meets exactly the error class that the list names."""
    expected = vector["failure"] and getattr(errors, vector["failure"])
    assert outcome(vector, FOLDER, people) is expected


def test_every_package_error_has_a_vector() -> None:
    """No class of package error is without a file, except those with a reason."""
    classes = {
        name
        for name, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, errors.PackageError) and found is not errors.PackageError
    }
    assert classes == {vector["failure"] for vector in VECTORS if vector["failure"]} | set(NOT_IN_A_FILE)


def test_list_and_folder_agree() -> None:
    """Every file of the folder is listed, and every listed file is there."""
    assert {path.name for path in FOLDER.glob("*.tally")} == {vector["file"] for vector in VECTORS}


def test_generator_still_makes_them(tmp_path: Path, people: dict[str, PrivateIdentity]) -> None:
    """Freshly generated vectors meet the same failures, so that the generator documents the files."""
    generate.write_vectors(tmp_path, people)
    fresh = json.loads((tmp_path / "vectors.json").read_text())
    assert fresh == VECTORS
    for vector in fresh:
        expected = vector["failure"] and getattr(errors, vector["failure"])
        assert outcome(vector, tmp_path, people) is expected, vector["file"]


@pytest.mark.parametrize(
    "name", ["not-a-package", "unsupported-version", "truncated", "trailing-bytes", "chunk-reordered"]
)
def test_seen_without_any_key(name: str) -> None:
    """What is visible from outside is found by a reader who holds no key."""
    expected = next(vector["failure"] for vector in VECTORS if vector["file"] == f"{name}.tally")
    with pytest.raises(errors.PackageError) as caught:
        inspect_header(FOLDER / f"{name}.tally")
    assert type(caught.value).__name__ == expected


def test_messages_name_the_file_and_no_value(people: dict[str, PrivateIdentity]) -> None:
    """A failure is a sentence with the file's name; digests, run ids and facts of the package stay out."""
    for vector in VECTORS:
        if vector["failure"] in (None, "Replayed"):
            continue
        with pytest.raises(errors.PackageError) as caught:
            read_as_unit(FOLDER / vector["file"], people, ReplayGuard())
        text = str(caught.value).replace(str(FOLDER), "")
        assert text.startswith(f"/{vector['file']}: ")
        text = text.removeprefix(f"/{vector['file']}")
        assert not any(value in text for value in ("2026-05", "research", "wrong", "x-extra", "0000"))
