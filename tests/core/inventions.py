"""Hypothesis strategies for Canaries and for everything that can happen to them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from core.telling import Happenings, spec_of
from core.world import World, at_rest
from gradatim.core.verdict import Traits

shares = st.integers(0, 100)

strategies = st.one_of(
    st.fixed_dictionaries(
        {"stepWeight": st.integers(10, 100)},
        optional={
            "maxWeight": st.integers(1, 100),
            "stepWeightPromotion": st.integers(10, 100),
            "mirror": st.booleans(),
        },
    ),
    st.lists(st.integers(1, 120), min_size=1, max_size=4, unique=True).map(
        lambda steps: {"stepWeights": sorted(steps)}
    ),
    st.fixed_dictionaries({"iterations": st.integers(1, 4)}, optional={"mirror": st.booleans()}),
    st.fixed_dictionaries({"iterations": st.integers(1, 3), "match": st.just([{"headers": {"x": {"exact": "1"}}}])}),
)
HOOKS = ("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "rollback")
METRICS = ({"name": "request-success-rate", "thresholdRange": {"min": 99}}, {"name": "m", "templateRef": {"name": "t"}})


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A spec that can work."""
    analysis = {
        "interval": "60s",
        "threshold": draw(st.integers(1, 3)),
        **draw(strategies),
        "metrics": draw(st.lists(st.sampled_from(METRICS), max_size=2, unique_by=lambda metric: metric["name"])),
        "webhooks": [
            {"name": kind, "type": kind, "url": "http://t", "muteAlert": draw(st.booleans())}
            for kind in draw(st.lists(st.sampled_from(HOOKS), max_size=3, unique=True))
        ],
    }
    if draw(st.booleans()):
        analysis["sessionAffinity"] = {"cookieName": "c", "primaryCookieName": "p"}
    return spec_of(
        {
            "analysis": analysis,
            "skipAnalysis": draw(st.sampled_from((False, False, False, True))),
            "revertOnDeletion": draw(st.booleans()),
        }
    )


traits = st.builds(
    Traits,
    shifts_traffic=st.sampled_from((True, True, True, False)),
    mirrors=st.just(True),
    session_affinity=st.booleans(),
    waits=st.sampled_from((True, True, True, False)),
).map(lambda found: Traits(found.shifts_traffic, found.shifts_traffic, found.session_affinity, found.waits))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A new Canary, or one at rest."""
    spec, abilities = draw(specs()), draw(traits)
    return World(spec, traits=abilities) if draw(st.booleans()) else at_rest(spec, traits=abilities)


states = st.sampled_from(("ready", "waiting", "waiting 90", "stuck"))
refusals = st.dictionaries(st.sampled_from(HOOKS), st.sampled_from(("no", "open")), min_size=1, max_size=3)
values = st.dictionaries(
    st.sampled_from(("request-success-rate", "m")), st.sampled_from((100, 50, "none", "failed: refused")), min_size=1
)
events: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.just("target"), st.sampled_from(("v1", "v2", "v3", "gone"))),
    st.tuples(st.just("configs"), st.sampled_from(({}, {"configmap/a": "1"}, {"configmap/a": "2"}))),
    st.tuples(st.just("scaled"), st.booleans()),
    st.tuples(st.just("abrupt"), st.booleans()),
    st.tuples(st.just("lacking"), st.sampled_from(("", "a config is not there"))),
    st.tuples(st.just("canary"), states),
    st.tuples(st.just("primary"), states),
    st.tuples(st.just("rolls"), states),
    st.tuples(st.just("pods"), st.dictionaries(st.sampled_from(("primary", "canary")), st.booleans(), min_size=1)),
    st.tuples(st.just("routes"), shares.map(lambda share: f"{100 - share}/{share}")),
    st.tuples(st.just("routes"), st.just("unreadable: no such thing")),
    st.tuples(st.just("proxies"), st.sampled_from(("", "not accepted"))),
    st.tuples(st.just("endpoints"), st.sampled_from(("", "still leads to pods that are to go"))),
    st.tuples(st.just("drain"), st.sampled_from((0.0, 30.0))),
    st.tuples(st.just("requests"), st.sampled_from(("", "still some"))),
    st.tuples(st.just("hooks"), refusals),
    st.tuples(st.just("metrics"), values),
    st.tuples(st.just("sources"), st.sampled_from(("", "not avaiable"))),
    st.tuples(st.just("problems"), st.sampled_from(([], [{"path": "spec", "message": "no"}]))),
    st.tuples(
        st.just("references"),
        st.sampled_from(([], [{"path": "a", "message": "no", "blocks": False}], [{"path": "b", "message": "no"}])),
    ),
    st.tuples(
        st.just("shape"),
        st.dictionaries(
            st.sampled_from(("services", "scaler", "apex", "routes")),
            st.sampled_from(("missing", "in order", "Service x", "broken: no")),
            max_size=2,
        ),
    ),
    st.tuples(
        st.just("spec"),
        st.fixed_dictionaries(
            {}, optional={"suspend": st.booleans(), "skipAnalysis": st.booleans(), "revertOnDeletion": st.booleans()}
        ),
    ),
    st.tuples(
        st.just("spec"),
        strategies.map(
            lambda one: {
                "analysis": {"stepWeight": None, "stepWeights": None, "iterations": None, "match": None, **one}
            }
        ),
    ),
    st.tuples(st.just("wait"), st.sampled_from((5, 700))),
    st.tuples(st.just("conflicts"), st.just(1)),
    st.tuples(st.just("restart"), st.just(True)),
)


def happen(world: World, event: tuple[str, Any]) -> None:
    """Let an event happen, if it can in this world."""
    verb, what = event
    if verb in ("configs", "scaled", "canary") and world.target is None:
        return
    if verb in ("primary", "pods") and (world.primary is None or world.target is None):
        return
    if verb == "routes" and not (world.traits.shifts_traffic or what.startswith("unreadable")):
        return
    getattr(Happenings(world), verb)(what)


def mend(world: World) -> None:
    """Let everything be as one would wish: pods are ready, everybody agrees, all checks pass."""
    here = Happenings(world)
    if world.target is None:
        here.target("v1")
    for verb, what in (
        ("canary", "ready"),
        ("rolls", "ready"),
        ("proxies", ""),
        ("endpoints", ""),
        ("requests", ""),
        ("sources", ""),
        ("lacking", ""),
    ):
        getattr(here, verb)(what)
    if world.primary is not None:
        here.primary("ready")
    world.hooks = {"rollback": "no"}
    world.metrics, world.problems, world.references, world.broken, world.unreadable_routes = {}, (), (), {}, ""
    world.conflicts = 0
    world.spec.pop("suspend", None)
