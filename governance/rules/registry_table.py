"""docs/rules.md: every rule with its weight, its moments and its source.

python -m governance.rules.registry_table > docs/rules.md
"""

from __future__ import annotations

from governance.rules.base import Moment, Severity
from governance.rules.registry import AnyRule, Family, shipped

_TITLES = {
    Family.AGREEMENT: "Agreement",
    Family.PACKAGE: "Package: at the agency before release, and again at intake",
    Family.LINKAGE: "Linkage: at the unit, before and after",
    Family.OUTPUT: "Outputs and retention",
    Family.LOG: "Audit log",
}
_HEAD = """# The rules

`seal`, `link` and `open` ask the rules of their moment and refuse when one of them blocks; `tallystick check FILE`
asks them of any artefact ([guides/check.md](guides/check.md)). A rule that **blocks** stops the work unless a signed
exception covers it; an **amber** one asks somebody to look. Some rules weigh by degree: P06 is amber while a secret is
about to expire. This page is made from the rules themselves (`python -m governance.rules.registry_table >
docs/rules.md`), and a test holds the two together. `pytest -k rules --collect-only -q` lists each rule with what it
fails and what it passes; another test holds that list complete. The citations say why a rule is there; they are no
legal advice, and clause numbers are for a lawyer to confirm.
"""
_ORDER = list(Moment)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _line(rule: AnyRule) -> str:
    weight = "block" if rule.severity is Severity.BLOCK else "amber"
    moments = ", ".join(moment.value for moment in sorted(rule.moments, key=_ORDER.index))
    return f"| {rule.id} | {weight} | {_cell(rule.title)} | {moments} | {_cell(rule.why)} |"


def rules_page() -> str:
    """Return docs/rules.md."""
    parts = [_HEAD]
    for family, title in _TITLES.items():
        rules = shipped(family)
        if rules:
            head = (
                f"## {title}\n\n| rule | weight | what it asks | moment | source |\n|---|---|---|---|---|\n"
            )
            parts.append(head + "\n".join(map(_line, rules)) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(rules_page(), end="")
