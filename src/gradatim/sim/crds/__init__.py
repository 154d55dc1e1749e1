"""CustomResourceDefinitions, and the kinds they make.

A definition is an object like any other; `Definitions` hears of it and makes the store serve its resource.
"""

from gradatim.sim.crds.definition import DEFINITION
from gradatim.sim.crds.serving import Definitions

__all__ = ["DEFINITION", "Definitions"]
