"""What the reference did, what we do, and whether the difference is allowed.

`scenario` reads the recorded scenarios, `world` says what a player needs of a server, `player` plays, `recording` keeps
what happened, `normal` takes out what is random or belongs to the server, `compare` finds differences, and `allowed`
holds them against the table of decisions.
"""

from cluster.parity.allowed import Allowed, load_allowed
from cluster.parity.compare import Difference, compare
from cluster.parity.player import play
from cluster.parity.recording import Recording
from cluster.parity.scenario import Scenario, load_base, load_reference, load_scenario, scenario_names, shared
from cluster.parity.world import World

__all__ = [
    "Allowed",
    "Difference",
    "Recording",
    "Scenario",
    "World",
    "compare",
    "load_allowed",
    "load_base",
    "load_reference",
    "load_scenario",
    "play",
    "scenario_names",
    "shared",
]
