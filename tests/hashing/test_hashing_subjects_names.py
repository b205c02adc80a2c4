"""Several names a subject: written in the name, or in columns of their own."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing_builders import TODAY, Row

from hashing.extract import open_extract
from hashing.mapping import AgencyMapping, load_mapping
from hashing.other_names import MOST_IN_A_CELL, split_list
from hashing.subjects import VERSIONS_KEPT, Subjects, collapse_stream
from schemas.errors import MappingError

MARY = {"ref": "7", "forename": "Mary", "surname": "Jones", "dob": "1990-03-04", "postcode": "LS6 3AB"}
ALSO = {"forename": ("known_as",), "surname": ("maiden", "previous"), "name": ("aliases",)}
NAMES = ("known_as", "maiden", "previous", "aliases")


def collapsed(tmp_path: Path, rows: list[Row], **mapping: object) -> Subjects:
    """Write the rows as CSV and collapse them under a mapping that names the columns of other names."""
    header = [*dict.fromkeys(name for row in [*rows, dict.fromkeys(NAMES)] for name in row)]
    lines = [",".join('"' + (row.get(name) or "") + '"' for name in header) for row in rows]
    path = tmp_path / "x.csv"
    path.write_text("\n".join([",".join(header), *lines]) + "\n", encoding="utf-8")
    read_as = AgencyMapping(**{"also": ALSO, **mapping})  # type: ignore[arg-type]
    return collapse_stream(open_extract(path, agency="police", mapping=read_as), today=TODAY, mapping=read_as)


def names_of(subjects: Subjects) -> dict[int, list[tuple[str | None, str | None]]]:
    """Forename and surname of each version, by subject, in order."""
    columns = []
    for name in ("forename", "surname"):
        coded = subjects.fields[name]
        values = [*coded.values.to_pylist(), None]
        columns.append([values[code] for code in coded.codes.tolist()])
    found = defaultdict(list)
    for subject, *pair in zip(subjects.version_subject.tolist(), *columns, strict=True):
        found[subject].append(tuple(pair))
    return dict(found)


def test_columns_of_other_names(tmp_path: Path) -> None:
    """A known-as name takes the forename's place, former surnames the surname's, an alias that of both."""
    row = {**MARY, "known_as": "Polly", "maiden": "Smith", "previous": "O'Brien", "aliases": "Green, Maria"}
    subjects = collapsed(tmp_path, [row])
    names = names_of(subjects)[0]
    assert names[0] == ("MARY", "JONES")
    assert set(names[1:]) == {("POLLY", "JONES"), ("MARY", "SMITH"), ("MARY", "OBRIEN"), ("MARIA", "GREEN")}
    assert subjects.quality.versions == 5
    postcodes = subjects.fields["postcode"]
    assert {postcodes.values[code].as_py() for code in postcodes.codes.tolist()} == {"LS63AB"}


def test_names_written_in_the_name(tmp_path: Path) -> None:
    """Known as, née and the like in the name itself give a version with the other name; a double-barrelled one none."""
    rows: list[Row] = [
        {**MARY, "forename": "Mary (Polly)", "surname": "Jones nee Smith"},
        {**MARY, "ref": "8", "dob": "1991-01-01", "surname": "Smith-Jones"},
    ]
    names = names_of(collapsed(tmp_path, rows))
    assert names[0][0] == ("MARY", "JONES")
    assert set(names[0][1:]) == {("POLLY", "JONES"), ("MARY", "SMITH")}
    assert names[1] == [("MARY", "SMITH JONES")]


def test_lists_of_names(tmp_path: Path) -> None:
    """Several names in one cell stand between semicolons, bars and line breaks, and at the mapping's delimiter."""
    row = {**MARY, "previous": "Smith; Brown|Green / White"}
    assert ("MARY", "BROWN") in names_of(collapsed(tmp_path, [row]))[0]
    comma = names_of(collapsed(tmp_path, [{**MARY, "previous": "Smith, Brown"}], list_delimiter=","))[0]
    assert set(comma) == {("MARY", "JONES"), ("MARY", "SMITH"), ("MARY", "BROWN")}
    assert split_list(" a ;\n;b|c") == ["a", "b", "c"]
    assert split_list(";".join("abcdefghijklmnopqrstuvwxyz"[: MOST_IN_A_CELL + 1])) == []


def test_placeholders_and_known_names_add_nothing(tmp_path: Path) -> None:
    """What is no name, or a name that the subject is recorded with in any case, makes no version."""
    rows: list[Row] = [
        {**MARY, "known_as": "unknown", "maiden": "jones", "previous": "n/a", "aliases": "JONES, mary"},
        {**MARY, "surname": "Brown", "previous": "Jones"},
    ]
    subjects = collapsed(tmp_path, rows)
    assert sorted(names_of(subjects)[0]) == [("MARY", "BROWN"), ("MARY", "JONES")]
    assert subjects.quality.versions_left_out == 0


def test_other_names_join_nobody(tmp_path: Path) -> None:
    """Two people are not one because the former name of one is the name of the other."""
    rows: list[Row] = [{**MARY, "previous": "Smith"}, {**MARY, "ref": "8", "surname": "Smith"}]
    assert collapsed(tmp_path, rows).count == 2


def test_other_names_come_before_old_addresses(tmp_path: Path) -> None:
    """Of many versions the latest four stay, then the other names, then older ones, eight in all."""
    rows: list[Row] = [
        {
            **MARY,
            "postcode": f"LS{number} 3AB",
            "record_date": f"2026-01-{number:02d}",
            "previous": "Smith; Brown",
        }
        for number in range(1, 11)
    ]
    subjects = collapsed(tmp_path, rows)
    names = names_of(subjects)[0]
    assert names == [("MARY", "JONES")] * 4 + [("MARY", "BROWN"), ("MARY", "SMITH")] + [("MARY", "JONES")] * 2
    assert (len(names), subjects.quality.versions_left_out) == (VERSIONS_KEPT, 4)
    postcodes = subjects.fields["postcode"]
    listed = [postcodes.values[code].as_py() for code in postcodes.codes.tolist()]
    assert listed == ["LS103AB", "LS93AB", "LS83AB", "LS73AB", "LS103AB", "LS103AB", "LS63AB", "LS53AB"]


@given(st.lists(st.sampled_from(["Smith", "Brown", "unknown", "", "Green; Jones"]), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_other_names_only_add(tmp_path_factory: pytest.TempPathFactory, previous: list[str]) -> None:
    """Other names leave subjects, references, contacts and recorded versions as they are without them."""
    rows: list[Row] = [
        {**MARY, "ref": str(number % 3), "dob": f"199{number % 3}-03-04", "previous": text}
        for number, text in enumerate(previous)
    ]
    folder = tmp_path_factory.mktemp("names")
    plain = collapsed(folder, rows, also={})
    named = collapsed(folder, rows)
    assert named.count == plain.count
    assert named.refs.equals(plain.refs)
    assert named.contacts.subject.tolist() == plain.contacts.subject.tolist()
    with_names, without = names_of(named), names_of(plain)
    for subject, names in without.items():
        assert with_names[subject][: len(names)] == names
        assert len(set(with_names[subject])) == len(with_names[subject]) <= VERSIONS_KEPT


def test_a_field_that_is_not_agreed_gets_no_other_names(tmp_path: Path) -> None:
    """Without the surname among the agreed identifiers, former surnames are not read and whole names give forenames."""
    path = tmp_path / "x.csv"
    path.write_text(
        "ref,forename,surname,dob,previous,aliases\n7,Mary,Jones,1990-03-04,Smith,Polly Green\n",
        encoding="utf-8",
    )
    mapping = AgencyMapping(also=ALSO | {"forename": ("forename",), "surname": ("previous",)})
    subjects = collapse_stream(
        open_extract(path, agency="police", mapping=mapping),
        today=TODAY,
        mapping=mapping,
        match_fields=frozenset({"forename", "dob"}),
    )
    assert "surname" not in subjects.fields
    coded = subjects.fields["forename"]
    assert [coded.values[code].as_py() for code in coded.codes.tolist()] == ["MARY", "POLLY"]


def test_mapping_of_other_names(tmp_path: Path) -> None:
    """The mapping names columns of forenames, surnames and whole names, and nothing else."""
    path = tmp_path / "mapping.yaml"
    path.write_text(
        "agencies:\n  police:\n    also: {surname: [Maiden], name: [Aliases]}\n    list_delimiter: ','\n"
    )
    mapping = load_mapping(path)["police"]
    assert dict(mapping.also) == {"surname": ("Maiden",), "name": ("Aliases",)}
    assert mapping.list_delimiter == ","
    path.write_text("agencies:\n  police:\n    also: {dob: [Other birth date]}\n")
    with pytest.raises(MappingError, match="'dob' cannot stand here"):
        load_mapping(path)
    missing = AgencyMapping(also={"surname": ("Maiden",)})
    (tmp_path / "x.csv").write_text("ref,surname\n7,Jones\n")
    with pytest.raises(MappingError, match="another surname is in the column 'Maiden'"):
        open_extract(tmp_path / "x.csv", agency="police", mapping=missing)
