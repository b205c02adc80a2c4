"""Three invented agencies, sealed once, and a run at the unit taken apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from linkage_world import Unit, World, make_world

from linkage.candidates import find_candidates
from linkage.database import connect
from linkage.intake import counted, latest_contact, take_in
from linkage.people import cluster_links, keep_apart, settle_links
from linkage.results import read_links
from linkage.scoring import score_candidates
from linkage.window import find_multi_agency


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three agencies' packages, sealed for one run."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def unit(world: World) -> Iterator[Unit]:
    """The stages of `linkage.run.link` one after the other. Tests must not change its tables."""
    with connect(threads=1) as con:
        senders = take_in(con, world.packages, agreement=world.agreement, unit=world.unit, known=world.public)
        subjects = sum(sender.subjects for sender in senders)
        found = find_candidates(con, world.agreement.passes)
        trained = score_candidates(con, world.agreement.passes, counted(senders), subjects=subjects)
        keep_apart(con)
        settle_links(con, [sender.subjects for sender in senders])
        links = read_links(con)
        clusters = cluster_links(con, links, world.agreement, subjects)
        last = latest_contact(con)
        assert last is not None
        window = find_multi_agency(con, months=12, as_of=last, minimum_agencies=2)
        yield Unit(
            con=con,
            senders=senders,
            found=found,
            trained=trained,
            links=links,
            clusters=clusters,
            window=window,
        )
