"""What providers say about an object that is not there, in the API server's words.

Reading objects is the engine's part: here, absent means that it looked and found none.
"""

from __future__ import annotations

from gradatim.ports.errors import Missing
from gradatim.ports.objects import Manifest, Ref
from gradatim.ports.scene import Seen


def not_found(ref: Ref) -> str:
    """`deployments.apps "podinfo" not found`."""
    return f'{ref.resource.qualified} "{ref.name}" not found'


def get_error(word: str, ref: Ref) -> str:
    """`deployment podinfo.test get query error: deployments.apps "podinfo" not found`."""
    return f"{word} {ref.name}.{ref.namespace} get query error: {not_found(ref)}"


def required(seen: Seen, ref: Ref, word: str, before: str = "") -> Manifest:
    """The object that must be there, named by `word` in the sentence if it is not.

    Raises:
        Missing: with `before` and what `get_error` says.
    """
    if (found := seen[ref]) is None:
        raise Missing(before + get_error(word, ref))
    return found
