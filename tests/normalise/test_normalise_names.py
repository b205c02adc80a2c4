"""Names: known-as parts, families, and the keys derived from them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import jellyfish
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashing import normalise as norm
from hashing.normalise import Outcome, _folding, _name_parts, _words, names
from hashing.normalise._arrays import plain


def forename(*raw: str | None) -> list[str | None]:
    """Normalised forenames."""
    return norm.normalise_forename(pa.array(raw, pa.string())).values.to_pylist()


def surname(*raw: str | None) -> list[str | None]:
    """Normalised surnames."""
    return norm.normalise_surname(pa.array(raw, pa.string())).values.to_pylist()


def derived(kind: str, part: str, *raw: str) -> list[str | None]:
    """One derived value of names."""
    normalised = norm.normalise_forename if kind == "forename" else norm.normalise_surname
    values = normalised(pa.array(raw, pa.string())).values
    return norm.derive_name(values, kind=kind)[part].to_pylist()  # type: ignore[arg-type]


WORD = st.text(alphabet="ABCDEIMNORSTXYZ", min_size=1, max_size=6)
SPECIAL = st.sampled_from(
    sorted(_name_parts.rules("forename").special | _name_parts.rules("surname").special)
)
NAME = st.lists(st.one_of(WORD, SPECIAL), min_size=1, max_size=7).flatmap(
    lambda words: st.lists(st.sampled_from(" -'"), min_size=len(words), max_size=len(words)).map(
        lambda joints: "".join(word + joint for word, joint in zip(words, joints, strict=True)).strip(" -'")
    )
)


@pytest.mark.parametrize("kind", ["forename", "surname"])
@settings(max_examples=300, deadline=None)
@given(names=st.lists(NAME, min_size=1, max_size=8))
def test_the_fast_path_agrees_with_the_thorough_one(kind: _name_parts.Kind, names: list[str]) -> None:
    """Column work and word-by-word work give the same name and the same outcome."""
    raw = pa.array(names)
    fast = (norm.normalise_forename if kind == "forename" else norm.normalise_surname)(raw)
    slow = [_name_parts.normalise_one(text, kind) for text in plain(raw).to_pylist()]
    assert fast.values.to_pylist() == [name for name, _ in slow]
    assert fast.outcomes.tolist() == [int(outcome) for _, outcome in slow]


def test_known_as_parts_leave_the_main_name() -> None:
    """Brackets, quotes, slashes and words such as aka all give the name before them."""
    written = (
        "Robert (Bob)",
        'Robert "Bob"',
        "Robert 'Bob'",
        "Robert aka Bob",
        "Robert a.k.a. Bob",
        "Robert [Bob]",
    )
    assert set(forename(*written, "Robert/Bob", "Robert known as Bob", "ROBERT “Bob”", "Robert (Bob")) == {
        "ROBERT"
    }
    assert set(norm.alternative_names(pa.array(written))) == {("BOB",)}


def test_known_as_is_found_however_it_is_spelled() -> None:
    """Words that only cleaning reveals to be "known as" part names like the plain words, once and for all."""
    assert forename("Ann KN0WN&AS Bo", "Ann known-as Bo", "Ann A-K-A Bo", "Ann f.k.a. Bo", "KN0WN AS") == [
        *["ANN"] * 4,
        "AKA",
    ]


def test_a_note_in_a_name_column_is_invalid() -> None:
    """Very long text is refused at once, whatever is in it."""
    assert norm.normalise_forename(pa.array(["known as ( " * 5000])).outcomes.tolist() == [Outcome.INVALID]


def test_previous_surnames_are_alternatives() -> None:
    """Née, formerly and now tell which name is the present one."""
    raw = pa.array(
        ["Smith (née Jones)", "Smith nee Jones", "Smith formerly Jones", "Jones now Smith", "Smith f.k.a. X"]
    )
    assert surname(*raw.to_pylist()[:4]) == ["SMITH"] * 4
    assert norm.alternative_names(raw)[:4] == [("JONES",)] * 4


def test_double_barrelled_names_give_their_parts() -> None:
    """Each half of a double-barrelled surname is an alternative, particles kept with their word."""
    raw = pa.array(["Smith-Jones", "Garcia de Souza", "van der Berg", "O'Brien", "Smith"])
    expected = [("SMITH", "JONES"), ("GARCIA", "DESOUZA"), (), (), ()]
    assert norm.alternative_names(raw, kind="surname") == expected
    assert norm.alternative_names(raw)[1] == ()
    assert norm.alternative_names(raw, kind="forename")[0] == ()


def test_placeholders_have_no_alternatives() -> None:
    """What is no name has no other name."""
    raw = pa.array(["n/a", "unknown / unknown", "baby (unknown)", None, "", "Robert (deceased)", "Anna (F)"])
    assert norm.alternative_names(raw) == [()] * 7
    assert forename(*raw.to_pylist()) == [*[None] * 5, "ROBERT", "ANNA"]
    assert forename("John (unknown)", "John / unknown", "John [baby]") == ["JOHN"] * 3


@pytest.mark.parametrize(
    "text",
    [
        *(
            "baby",
            "Baby Boy Smith",
            "twin 1",
            "TWIN TWO",
            "male infant",
            "unknown",
            "UNK",
            "N/K",
            "n/a",
            "tbc",
            "none",
        ),
        *("-", ".", "???", "test", "Miss", "xxx", "AAA", "not known", "Infant Female", "unborn baby"),
    ],
)
def test_placeholders_are_no_forenames(text: str) -> None:
    """What stands for an unknown name is counted as a placeholder."""
    result = norm.normalise_forename(pa.array([text, text.upper(), f" {text} "]))
    assert result.outcomes.tolist() == [Outcome.PLACEHOLDER] * 3


def test_titles_and_suffixes_go() -> None:
    """Titles before and suffixes after a name are no part of it, unless they are all there is."""
    assert forename("Mr. John", "Dr John Jr", "Rev'd John III", "John, OBE") == ["JOHN"] * 4
    assert surname("Mrs Smith", "Smith Jnr.", "Smith (deceased)", "Smith PhD") == ["SMITH"] * 4
    assert forename("Junior") == ["JUNIOR"]


def test_every_way_to_write_an_irish_or_scottish_prefix_is_one() -> None:
    """O, Mc and Mac are closed up whatever stands after them."""
    assert set(surname("O'Brien", "O\u2019Brien", "O Brien", "O' Brien", "o`brien", "Ó Brien")) == {"OBRIEN"}
    assert set(surname("Mc Donald", "McDonald", "MC-DONALD")) == {"MCDONALD"}
    assert set(surname("D'Souza", "D Souza", "DSOUZA")) == {"DSOUZA"}


def test_scripts_become_latin() -> None:
    """Cyrillic, Arabic, Greek, Devanagari, Hebrew, Hangul and Han names come out in A to Z."""
    assert forename(
        "Мухаммад", "محمد", "Γιώργος", "राम", "민준", "小明", "Łukasz", "Þóra", "Đức", "Ənvər", "ẞ"
    ) == [
        *(
            "MUKHAMMAD",
            "MHMD",
            "GIORGOS",
            "RAM",
            "MINJUN",
            "XIAOMING",
            "LUKASZ",
            "THORA",
            "DUC",
            "ENVER",
            "SS",
        ),
    ]
    assert (
        len(
            set(derived("forename", "canonical", "محمد", "Мухаммад", "Mohammed", "Maxamed", "Md", "Muhammad"))
        )
        == 1
    )


def test_digits_inside_words_are_letters_and_elsewhere_noise() -> None:
    """J0hn is John, John2 is John, 12 is no name."""
    assert forename("J0hn", "John2", "5mith", "Sm1th", "12") == ["JOHN", "JOHN", "MITH", "SMITH", None]


@pytest.mark.parametrize(
    "names",
    [
        *(
            ("Robert", "Bob", "Rob", "Bobby", "Robbie"),
            ("Alexander", "Alexandra", "Alex"),
            ("Sam", "Samuel", "Samantha"),
        ),
        *(
            ("Chris", "Christopher", "Christine"),
            ("Katarzyna", "Kasia", "Catherine", "Kate"),
            ("Liz", "Elizabeth", "Betty"),
        ),
        *(("Oluwaseun", "Seun"), ("Jim", "James", "Seamus"), ("Ted", "Edward"), ("Peggy", "Margaret")),
    ],
)
def test_nicknames_meet(names: tuple[str, ...]) -> None:
    """All members of a family have one representative, and so one canonical form."""
    assert len(set(derived("forename", "nickname", *names))) == 1
    assert len(set(derived("forename", "canonical", *names))) == 1


def test_common_names_stay_apart() -> None:
    """The most common forenames are not drawn into one family by a chain of nicknames."""
    separate = [
        "John",
        "James",
        "William",
        "Robert",
        "David",
        "Mary",
        "Susan",
        "Margaret",
        "Sarah",
        "Jennifer",
    ]
    separate += [
        "Mohammed",
        "Ali",
        "Olivia",
        "Amelia",
        "Harry",
        "Emily",
        "Emma",
        "George",
        "Amy",
        "Hannah",
        "Liam",
    ]
    assert len(set(derived("forename", "canonical", *separate))) == len(separate)


def test_no_nickname_family_swallows_many_names() -> None:
    """No representative stands for more than a bounded number of names."""
    sizes = Counter(_folding.nickname_table().values())
    assert max(sizes.values()) <= 70
    assert len(sizes) > 150


def test_nickname_representatives_represent_themselves() -> None:
    """Looking up twice is looking up once."""
    table = _folding.nickname_table()
    assert not set(table.values()) & set(table)


def test_the_shipped_lists_name_everything_once() -> None:
    """A name in two families would depend on the order of the file."""
    with_kind = [
        (kind, name)
        for row in _words.read_csv("name_families.csv")
        for kind in (("forename", "surname") if row["kind"] == "both" else (row["kind"],))
        for name in row["variants"].split()
    ]
    repeated = [name for name, count in Counter(with_kind).items() if count > 1]
    assert not repeated
    own = [
        name
        for row in _words.read_csv("nicknames.csv")
        for name in (row["representative"], *row["names"].split())
    ]
    assert not [name for name, count in Counter(own).items() if count > 1]
    assert all(name.isalpha() and name.isupper() for name in own)


@pytest.mark.parametrize("kind", ["forename", "surname"])
def test_every_listed_variant_has_the_form_of_its_family(kind: str) -> None:
    """All spellings of a family come out alike."""
    for row in _words.read_csv("name_families.csv"):
        if row["kind"] in (kind, "both"):
            names = pa.array(row["variants"].split())
            assert len(set(_folding.canonical(names, kind).to_pylist())) == 1, row["family"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(
            ("Kowalski", "Kowalska"),
            ("Ivanov", "Ivanova"),
            ("Dostoevsky", "Dostoevskaya"),
            ("Chaudhry", "Choudhury"),
        ),
        *(("Hussain", "Hossain"), ("Rahman", "Rehman"), ("Zhang", "Cheung"), ("Shevchenko", "Szewczenko")),
        *(("Müller", "Muller"), ("Jallow", "Diallo"), ("Philips", "Phillips"), ("Xasan", "Hassan")),
    ],
)
def test_transliterations_of_surnames_meet(one: str, other: str) -> None:
    """Spellings of one surname have one canonical form."""
    assert len(set(derived("surname", "canonical", one, other))) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(
            ("Stephen", "Steven"),
            ("Catherine", "Kathryn"),
            ("Shaun", "Sean"),
            ("Smith", "Smyth"),
            ("Read", "Reid"),
        ),
        *(("Thompson", "Thomson"), ("MacDonald", "McDonald"), ("Geoffrey", "Jeffrey"), ("Vaughan", "Vaughn")),
        *(
            ("Dixon", "Dickson"),
            ("Hughes", "Hews"),
            ("Wright", "Right"),
            ("Philip", "Filip"),
            ("Siobhan", "Shivaun"),
        ),
    ],
)
def test_misspellings_sound_alike(one: str, other: str) -> None:
    """Clerks' spellings of one name have one phonetic key."""
    assert len(set(derived("surname", "phonetic", one, other))) == 1


@settings(max_examples=200, deadline=None)
@given(
    names=st.lists(
        st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=12), min_size=1, max_size=20
    )
)
def test_keys_of_a_name_are_letters_whatever_its_neighbours(names: list[str]) -> None:
    """Phonetic key and canonical form are never empty and never run into the next line of the shared text."""
    values = pa.array(names)
    for kind in ("forename", "surname"):
        for part in ("phonetic", "canonical"):
            together = norm.derive_name(values, kind=kind)[part].to_pylist()  # type: ignore[arg-type]
            alone = [norm.derive_name(pa.array([name]), kind=kind)[part][0].as_py() for name in names]  # type: ignore[arg-type]
            assert together == alone
            assert all(key.isascii() and key.isalpha() and key.isupper() for key in together)


def test_parts_of_forenames() -> None:
    """Initials before a longer name, Abdul and the like, and second names."""
    raw = ("Mary Ann", "J Robert", "Abdul Rahman Khan", "Mohammed Ali", "J R", "Abdul", "Le Roy", "Al")
    assert derived("forename", "exact", *raw) == [
        *("MARY", "ROBERT", "ABDULRAHMAN", "MOHAMMED", "J", "ABDUL", "LEROY", "AL"),
    ]
    assert derived("forename", "second", *raw) == ["ANN", None, "KHAN", "ALI", "R", None, None, None]
    assert derived("forename", "full", "Mary Ann") == ["MARYANN"]


def test_letters_at_the_ends_and_sorted() -> None:
    """First and last three letters need three letters; sorted letters forgive a transposition."""
    assert derived("surname", "first3", "Ng", "Lee", "Smith") == [None, "LEE", "SMI"]
    assert derived("surname", "last3", "Ng", "Lee", "Smith") == [None, "LEE", "ITH"]
    assert len(set(derived("surname", "letters", "Smith", "Simth", "Smitth"))) == 1
    assert len(set(derived("surname", "consonants", "Petersen", "Peterson", "Petrsn"))) == 1
    assert derived("surname", "initial", "de Souza") == ["D"]


def test_shipped_lists_are_ascii_with_one_line_end() -> None:
    """The lists read the same on every system."""
    for name in _words.DATA_FILES:
        content = _words.data_bytes(name)
        assert content.isascii()
        assert b"\r" not in content
        assert list(csv.reader(content.decode().splitlines()))


def _agreement(keys: Callable[[list[str]], list[str]]) -> float:
    """The share of the shipped spelling pairs that have one key."""
    with (Path(__file__).parent / "spelling_pairs.csv").open(encoding="ascii") as stream:
        pairs = list(csv.DictReader(stream))
    ones, others = keys([pair["one"] for pair in pairs]), keys([pair["other"] for pair in pairs])
    return sum(one == other for one, other in zip(ones, others, strict=True)) / len(pairs)


def test_the_phonetic_key_finds_more_misspellings_than_the_usual_ones() -> None:
    """The measurement in docs/spec/normalisation.md, section 7."""
    ours = _agreement(lambda names: norm.derive_name(pa.array(names), kind="surname")["phonetic"].to_pylist())
    usual = (jellyfish.soundex, jellyfish.metaphone, jellyfish.nysiis, jellyfish.match_rating_codex)
    best = max(_agreement(lambda names, key=key: [key(name) for name in names]) for key in usual)
    assert ours > 0.9
    assert ours > best + 0.05


@pytest.mark.parametrize(
    ("written", "forename_part", "surname_part"),
    [
        *(
            ("John Smith", "John", "Smith"),
            ("SMITH, John", "John", "SMITH"),
            ("Mr John Paul Smith Jr", "John Paul", "Smith"),
        ),
        *(
            ("DUPONT Jean", "Jean", "DUPONT"),
            ("Jean DE LA CRUZ", "Jean", "DE LA CRUZ"),
            ("Ana de la Cruz", "Ana", "de la Cruz"),
        ),
        *(("Suharto", None, "Suharto"), ("", None, None), ("O'Brien, Mary (Mo)", "Mary (Mo)", "O'Brien")),
        *(
            ("Smith, John, MBE", "John", "Smith"),
            ("JOHN SMITH", "JOHN", "SMITH"),
            ("Omar bin Ali", "Omar", "bin Ali"),
        ),
        *(("Smith, Jr", None, "Smith"), ("Dr", None, "Dr"), (" , ", None, None), ("van Dyke", "van", "Dyke")),
    ],
)
def test_whole_names_are_split(written: str, forename_part: str | None, surname_part: str | None) -> None:
    """A comma or capitals show a reversed name; particles stay with the surname; a single name is a surname."""
    forenames, surnames = norm.split_full_name(pa.array([written, None]))
    assert (forenames.to_pylist(), surnames.to_pylist()) == ([forename_part, None], [surname_part, None])


@settings(max_examples=100, deadline=None)
@given(names=st.lists(st.one_of(NAME, st.text(max_size=30)), max_size=5))
def test_splitting_never_fails(names: list[str]) -> None:
    """Any text splits into two columns of its length that the normalisers take."""
    forenames, surnames = norm.split_full_name(pa.array(names, pa.string()))
    assert (
        len(norm.normalise_forename(forenames).values)
        == len(norm.normalise_surname(surnames).values)
        == len(names)
    )


_PIECES = st.sampled_from(
    [
        "O",
        "BRIEN",
        "NEE",
        "SMITH",
        "A",
        "K",
        "KA",
        "MC",
        "N",
        "EE",
        "R",
        "KNOWN",
        "AS",
        "'",
        "-",
        " ",
        "(",
        "NOW",
        "JR",
    ]
)


@pytest.mark.parametrize(("kind", "parts"), [("forename", True), ("surname", False)])
@given(written=st.lists(st.lists(_PIECES, max_size=7).map("".join)))
def test_names_that_are_passed_over_hold_no_other_names(
    kind: Literal["forename", "surname"], parts: bool, written: list[str]
) -> None:
    """Apostrophes, hyphens and words between names: the quick look finds what taking each name apart finds."""
    taken_apart = [
        names._alternatives(text, kind, parts) for text in plain(pa.array(written, pa.string())).to_pylist()
    ]
    assert norm.alternative_names(pa.array(written, pa.string()), kind=kind, parts=parts) == taken_apart
