"""What all tests of this folder look at: every story, played once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from cluster.fixtures import Cluster
from cluster.stories.stage import SYSTEMS, Played, play
from cluster.stories.timeline import timelines


@pytest.fixture(scope="session")
def played(cluster: Cluster, crds: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Played:
    """All stories and the walk-through; the operator's log is kept beside them."""
    crds("own", *SYSTEMS)
    log = tmp_path_factory.mktemp("stories") / "operator.log"
    stories = [story for name in ("timelines", "further") for story in timelines(name)]
    return asyncio.run(play(cluster.plane, stories, log))
