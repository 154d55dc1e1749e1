"""Questions about oneself that are asked by creating an object and never stored. Everybody may do everything here."""

from __future__ import annotations

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim.builtin.kind import Builtin

_AUTHORIZATION, _AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"
EVERYTHING = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]


class Review(Builtin):
    """A question; `status` is the answer."""

    def __init__(self, resource: Resource, status: Manifest) -> None:
        super().__init__(resource)
        self.verbs = ("create",)
        self.status = status
        self.passing = True


def reviews() -> list[Review]:
    """The questions that can be asked."""
    rules = {"resourceRules": EVERYTHING, "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}
    user = {"username": "admin", "groups": ["system:masters", "system:authenticated"]}
    return [
        Review(_resource(_AUTHORIZATION, "SelfSubjectAccessReview"), {"allowed": True}),
        Review(_resource(_AUTHORIZATION, "SelfSubjectRulesReview"), rules | {"incomplete": False}),
        Review(_resource(_AUTHENTICATION, "SelfSubjectReview"), {"userInfo": user}),
    ]


def _resource(group: str, kind: str) -> Resource:
    return Resource(group, "v1", f"{kind.lower()}s", kind, namespaced=False)
