"""`tallystick agreement …` as its users meet it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

import cli
from governance.agreement import load_agreement, parse_agreement, read_document
from governance.agreement_complete import TEMPLATES, template
from governance.agreement_rehearsal import write_rehearsal_agreement
from governance.agreement_signatures import write_signature
from governance.agreement_template import Wishes, draft_from_template
from governance.commands.agreement import TEMPLATES as OFFERED
from governance.draft import agreement_yaml
from schemas.identity import save_identity
from tests.conftest import run
from tests.governance.agreements import AGENCIES, TODAY, complete_document, finish_draft, identities

COMPLETE = Path(__file__).parent / "fixtures" / "agreements" / "good" / "complete.yaml"
PASSPHRASE = {"TALLYSTICK_PASSPHRASE": "correct horse battery staple"}
ON = ("--on", TODAY.isoformat())


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_template_drafts_a_whole_agreement(name: str, tmp_path: Path) -> None:
    """A draft says everything; once its placeholders are filled in and it is active, only signatures are missing."""
    path = tmp_path / "agreement.yaml"
    assert run("agreement", "new", "--template", name, "--out", path).exit_code == 0
    draft = json.loads(run("agreement", "check", path, "--json").stdout)
    assert draft["blocked"]
    rules = {found["rule"] for found in draft["findings"] if found["severity"] == "block"}
    assert rules == {"D01", "D02", "D03", "D13"}
    assert any(found["sentence"].startswith("A placeholder") for found in draft["findings"])
    finish_draft(path)
    done = json.loads(run("agreement", "check", path, "--json").stdout)
    blocking = {(f["rule"], "keys" in f["sentence"]) for f in done["findings"] if f["severity"] == "block"}
    assert blocking <= {("D01", True), ("D03", True)}  # no party has given its keys yet


def test_templates_on_offer_are_those_there_are() -> None:
    """The command offers the templates that stand in the package, each with its agencies and purposes."""
    assert OFFERED == TEMPLATES
    for name in TEMPLATES:
        assert template(name)["parties"]
        assert template(name)["purposes"]


def test_new_asks(tmp_path: Path) -> None:
    """Asked, it takes answers, and offers the template's for those left empty."""
    path = tmp_path / "agreement.yaml"
    answers = "early-help\nOur area\nour-area\n\nunit-1\neducation\n6\n"
    arguments = ["agreement", "new", "--ask", "--out", str(path)]
    result = CliRunner().invoke(cli.main, arguments, input=answers)
    assert result.exit_code == 0, result.output
    document = read_document(path)
    assert (document["title"], document["id"], document["window"]["months"]) == ("Our area", "our-area", 6)
    assert [party["id"] for party in document["parties"]] == list(template("early-help")["parties"])
    assert document["linkage_unit"]["operated_by"] == "education"
    assert "contract" not in document["linkage_unit"]


def test_new_does_not_ask_in_a_pipe_and_never_overwrites(tmp_path: Path) -> None:
    """In a pipe the defaults stand; a file that exists stays."""
    path = tmp_path / "agreement.yaml"
    assert run("agreement", "new", "--out", path).exit_code == 0
    before = path.read_bytes()
    assert run("agreement", "new", "--out", path).exit_code == 2
    assert path.read_bytes() == before


def test_bad_id_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """An agency's id that is none gives one clear error and no file."""
    path = tmp_path / "agreement.yaml"
    result = run("agreement", "new", "--party", "Fire & Rescue", "--out", path)
    assert result.exit_code == 2
    assert "parties[0].id: the value does not have the required form" in result.stderr
    assert not path.exists()


def test_drafts_cite_only_gateways_that_fit() -> None:
    """No draft of any template is blocked by D10: gateways are in force, and fit agency and people."""
    from governance.register import shipped_register
    from governance.rules.agreement_legal import d10_gateways
    from governance.rules.agreement_subject import AgreementSubject

    for name in TEMPLATES:
        wishes = Wishes(template=name, parties={}, agreement_id="a", unit_id="u")
        document = draft_from_template(wishes, today=TODAY)
        subject = AgreementSubject(document=document, today=TODAY, register=shipped_register())
        assert list(d10_gateways(subject)) == []


def test_check_says_the_verdict_first() -> None:
    """A good agreement: exit code 0, the verdict, digest and fingerprints; on a day out of force: exit code 1."""
    good = run("agreement", "check", COMPLETE, *ON)
    assert good.exit_code == 0, good.output
    assert good.stdout.startswith("Nothing blocks.\n")
    assert load_agreement(COMPLETE).digest in good.stdout
    assert good.stdout.count("Keys of ") == 4
    late = run("agreement", "check", COMPLETE, "--on", "2030-01-01")
    assert late.exit_code == 1
    assert late.stdout.startswith("Do not run: ")
    assert "D02" in late.stdout
    assert "no legal advice" in late.stdout


def test_check_of_what_cannot_be_read(tmp_path: Path) -> None:
    """No file, and a file that is no YAML: exit code 2 and one error."""
    assert run("agreement", "check", tmp_path / "none.yaml").exit_code == 2
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    result = run("agreement", "check", tmp_path / "bad.yaml")
    assert result.exit_code == 2
    assert "line 2" in result.stderr


def test_check_says_alike_things_once(tmp_path: Path) -> None:
    """Placeholders of a draft are one entry with a line for each place."""
    path = tmp_path / "agreement.yaml"
    run("agreement", "new", "--out", path)
    text = run("agreement", "check", path).stdout
    assert text.count("placeholder") == 1
    assert text.count(f"{path}, line ") > 20


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    """A complete agreement that nobody has signed, with a key file of the police beside it."""
    today = datetime.now(UTC).date()
    path = tmp_path / "agreement.yaml"
    public = {name: identity.public for name, identity in identities().items()}
    wishes = Wishes(
        template="county-safeguarding", parties=AGENCIES, agreement_id="county", unit_id="linkage-unit"
    )
    path.write_text(
        agreement_yaml(draft_from_template(wishes, today=today, identities=public)), encoding="utf-8"
    )
    finish_draft(path)
    save_identity(identities()["police"], tmp_path / "police.key", b"correct horse battery staple")
    return path


def test_sign_and_verify(unsigned: Path) -> None:
    """Each signature is a file of its own; verify names who is missing, and ends with 0 when nobody is."""
    key = unsigned.parent / "police.key"
    result = run("agreement", "sign", unsigned, "--key", key, "--json", env=PASSPHRASE)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["signer"] == "police"
    assert Path(said["signature"]) == unsigned.with_name("agreement.yaml.sigs") / "police.dsse.json"
    partly = run("agreement", "verify", unsigned, "--json")
    assert partly.exit_code == 1
    assert json.loads(partly.stdout)["missing"] == ["childrens_social_care", "health"]
    for name in ("health", "childrens_social_care"):
        write_signature(unsigned, load_agreement(unsigned), identities()[name])
    whole = run("agreement", "verify", unsigned)
    assert whole.exit_code == 0
    assert whole.stdout.startswith("Every controller has signed.")
    assert run("agreement", "check", unsigned).exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("status: active", "status: draft", "D02"),
        ("Rehearsal: data protection officer", "TODO", "D01"),
        ("article_6: 6(1)(e)", "article_9: 9(2)(g)", "D"),
        ("months: 12", "months: 99", "D01"),
    ],
)
def test_what_a_rule_blocks_cannot_be_signed(unsigned: Path, old: str, new: str, rule: str) -> None:
    """Nobody signs a draft, a placeholder, or a document with faults."""
    text = unsigned.read_text(encoding="utf-8")
    assert old in text
    unsigned.write_text(text.replace(old, new), encoding="utf-8")
    key = unsigned.parent / "police.key"
    result = run("agreement", "sign", unsigned, "--key", key, env=PASSPHRASE)
    assert result.exit_code == 1
    assert f"\n  {rule}" in result.stderr
    assert not unsigned.with_name("agreement.yaml.sigs").exists()


def test_may_be_signed_before_it_comes_into_force(unsigned: Path) -> None:
    """An agreement that begins next month can be signed today, and binds nobody until then."""
    document = read_document(unsigned)
    starts = datetime.now(UTC).date() + timedelta(days=30)
    document["in_force"] = {"from": starts.isoformat(), "to": (starts + timedelta(days=300)).isoformat()}
    unsigned.write_text(agreement_yaml(document), encoding="utf-8")
    key = unsigned.parent / "police.key"
    assert run("agreement", "sign", unsigned, "--key", key, env=PASSPHRASE).exit_code == 0
    assert "D02" in run("agreement", "check", unsigned).stdout


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "href"}]


def test_explain_in_plain_english_and_as_a_page(tmp_path: Path) -> None:
    """The same sections in the terminal and on a page that loads nothing, escaped, with room to sign."""
    document = complete_document()
    document["title"] = "<script>alert(1)</script> & co"
    path = tmp_path / "agreement.yaml"
    path.write_text(agreement_yaml(document), encoding="utf-8")
    text = run("agreement", "explain", path).stdout
    for words in (
        "Why\n---",
        "whom to ring",
        "Children Act 2004",
        "12 months",
        "no legal advice",
        "Package: 30 days",
    ):
        assert words in text
    result = run("agreement", "explain", path, "--html", tmp_path / "a.html", "--dpv", tmp_path / "a.jsonld")
    assert result.exit_code == 0, result.output
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(html)
    assert "script" not in page.tags
    assert page.loads == []
    assert {"header", "main", "footer", "h1", "h2", "table"} <= set(page.tags)
    assert html.count('<th scope="row">') == len(AGENCIES)
    assert "anonym" not in (html + text).lower()


@pytest.mark.parametrize("name", ["minimal-draft", "own-entries", "complete"])
def test_explain_takes_whatever_is_valid(name: str, tmp_path: Path) -> None:
    """A draft that leaves much out is explained too, and says what is missing."""
    path = COMPLETE.with_name(f"{name}.yaml")
    result = run("agreement", "explain", path)
    assert result.exit_code == 0, result.output
    assert ("binds nobody" in result.stdout) == (name != "complete")
    assert run("agreement", "explain", path, "--html", tmp_path / "a.html").exit_code == 0


def test_dpv_annex_names_every_field_and_basis(tmp_path: Path) -> None:
    """The annex is JSON-LD whose terms have declared prefixes, with each field, purpose and party of the agreement."""
    run("agreement", "explain", COMPLETE, "--dpv", tmp_path / "a.jsonld")
    annex = json.loads((tmp_path / "a.jsonld").read_text(encoding="utf-8"))
    agreement = load_agreement(COMPLETE)
    assert annex["@id"] == f"urn:{agreement.digest}"
    named = [entry["dct:title"] for entry in annex["dpv:hasPersonalData"]]
    assert named == [entry["name"] for entry in agreement.document["fields"]]
    text = json.dumps(annex)
    assert "eu-gdpr:A6-1-e" in text
    assert "eu-gdpr:A9-2-g" in text

    def terms(value: object) -> list[str]:
        if isinstance(value, dict):
            own = value.get("@type", [])
            return [*([own] if isinstance(own, str) else own), *(t for v in value.values() for t in terms(v))]
        return [t for item in value for t in terms(item)] if isinstance(value, list) else []

    assert all(term.split(":")[0] in annex["@context"] for term in terms(annex))


def test_diff_says_what_widened(tmp_path: Path) -> None:
    """In words and as JSON; equal content needs no new signatures."""
    wider = tmp_path / "wider.yaml"
    wider.write_text(
        COMPLETE.read_text(encoding="utf-8").replace("months: 12", "months: 24"), encoding="utf-8"
    )
    text = run("agreement", "diff", COMPLETE, wider).stdout
    assert text.startswith("To be signed again by every controller")
    assert "Wider:\n  the window, in months, goes from 12 to 24." in text
    said = json.loads(run("agreement", "diff", COMPLETE, wider, "--json").stdout)
    assert (said["signing_needed"], said["wider"]) == (True, 1)
    assert "content is the same" in run("agreement", "diff", COMPLETE, COMPLETE).stdout


OLD = """# our first draft
id: county
purpose: Find people known to several agencies # in words
version: 0.1.0
window_months: 12
keep_days: 30 # to be agreed
"""


def test_migrate_brings_version_0_to_version_1(tmp_path: Path) -> None:
    """Values move to where version 1 has them, comments stay, and people are told what to look at."""
    (tmp_path / "old.yaml").write_text(OLD, encoding="utf-8")
    result = run("agreement", "migrate", tmp_path / "old.yaml", "--out", tmp_path / "new.yaml")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 4
    text = (tmp_path / "new.yaml").read_text(encoding="utf-8")
    for comment in ("# our first draft", "# in words", "# to be agreed"):
        assert comment in text
    document = read_document(tmp_path / "new.yaml")
    assert list(document) == ["agreement_schema", "id", "purposes", "version", "window", "retention"]
    assert document["purposes"][0]["plain_english"] == "Find people known to several agencies"
    assert {entry["days"] for entry in document["retention"]} == {30}


@pytest.mark.parametrize("version", ["1", "2", "one", "-1"])
def test_migrate_refuses_what_needs_none(tmp_path: Path, version: str) -> None:
    """This version, a later one, and no version at all."""
    (tmp_path / "old.yaml").write_text(f"agreement_schema: {version}\n", encoding="utf-8")
    result = run("agreement", "migrate", tmp_path / "old.yaml", "--out", tmp_path / "new.yaml")
    assert result.exit_code == 2
    assert not (tmp_path / "new.yaml").exists()


def test_rehearsal_of_a_draft_is_complete_marked_and_signed(tmp_path: Path) -> None:
    """A draft with placeholders becomes a signed copy that says it is a rehearsal; a rehearsal of it stays one."""
    wishes = Wishes(template="early-help", parties={}, agreement_id="ours", unit_id="linkage-unit")
    draft = draft_from_template(wishes, today=TODAY)
    from schemas.identity import PrivateIdentity

    names = [*(party["id"] for party in draft["parties"]), "linkage-unit"]
    keys = {name: PrivateIdentity.generate(name) for name in names}
    path = tmp_path / "agreement.yaml"
    agreement = write_rehearsal_agreement(path, draft, keys, today=TODAY)
    assert (agreement.id, agreement.status) == ("rehearsal-ours", "active")
    assert "x-rehearsal" in agreement.document
    assert all(p["plain_english"].startswith("Rehearsal on invented") for p in agreement.document["purposes"])
    assert "TODO" not in path.read_text(encoding="utf-8")
    assert json.loads(run("agreement", "check", path, *ON, "--json").stdout)["findings"] == []
    again = write_rehearsal_agreement(tmp_path / "again.yaml", agreement.document, keys, today=TODAY)
    assert (again.id, again.document["title"]) == (agreement.id, agreement.document["title"])


def test_rehearsal_revives_nothing(tmp_path: Path) -> None:
    """A suspended agreement stays suspended in its rehearsal, and is refused."""
    document = {**complete_document(), "status": "suspended"}
    write_rehearsal_agreement(tmp_path / "a.yaml", document, identities(), today=TODAY)
    assert "D02" in run("agreement", "check", tmp_path / "a.yaml", *ON).stdout
    assert parse_agreement(document).status == "suspended"
