"""A small part of CEL, the language of `x-kubernetes-validations`: what the rules of the CRDs we know are written in.

A rule with something this part does not know is not evaluated; `Unsupported` says what it was.
"""

from __future__ import annotations

from gradatim.sim.cel.evaluate import Failed, Program, compile_rule
from gradatim.sim.cel.fields import undefined
from gradatim.sim.cel.syntax import Misspelt, Unsupported, parse

__all__ = ["Failed", "Misspelt", "Program", "Unsupported", "compile_rule", "parse", "undefined"]
