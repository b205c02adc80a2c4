"""The small county, linked once a session."""

from __future__ import annotations

import pytest
from small_county import AGENCIES, EXCLUDED, SmallCounty, make_small_county


@pytest.fixture(scope="session")
def small_county(tmp_path_factory: pytest.TempPathFactory) -> SmallCounty:
    """Three agencies that may not tell each other how many contacts they had; packages sealed, run linked."""
    outputs = ("agencies", "first_date", "last_date", "open_case", "lead_contact")
    county = make_small_county(tmp_path_factory.mktemp("small"), outputs=outputs)
    for agency in AGENCIES:
        sealed = county.seal(agency, *EXCLUDED)
        assert sealed.exit_code == 0, sealed.output
    linked = county.link()
    assert linked.exit_code == 0, linked.output
    return county
