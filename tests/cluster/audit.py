"""The honest counter of what the operator asks the API server: its audit log, read from one moment on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

READS = frozenset({"get", "list", "watch"})


@dataclass(frozen=True)
class Request:
    """One request as the API server noted it."""

    user: str
    agent: str
    verb: str
    group: str
    resource: str
    """With its subresource: `canaries/status`; the path for requests outside the API."""
    namespace: str
    name: str
    code: int
    allowed: bool
    """Neither refused by access rules nor by an admission plug-in that looks at them (403)."""
    at: str

    @property
    def writes(self) -> bool:
        """Whether it may have changed something."""
        return self.verb not in READS


class Audit:
    """The requests of one user since a mark."""

    def __init__(self, log: Path, user: str) -> None:
        self._log = log
        self._user = user
        self._from = 0
        self.mark()

    def mark(self) -> None:
        """Forget what was asked up to now."""
        self._from = self._log.stat().st_size if self._log.exists() else 0

    def requests(self) -> list[Request]:
        """Every request since the mark; a watch counts once, when it begins."""
        return [request for request in _read(self._log, self._from) if request.user == self._user]

    def per_verb(self) -> Counter[str]:
        """How many requests of each verb since the mark."""
        return Counter(request.verb for request in self.requests())

    def forbidden(self) -> list[Request]:
        """What was asked for and not allowed: each is a rule that the shipped role lacks."""
        return [request for request in self.requests() if not request.allowed]

    def used(self) -> set[tuple[str, str, str]]:
        """Group, resource and verb of everything that was allowed: what the role must contain.

        Paths outside the API, such as `/version`, are open to everybody who is authenticated.
        """
        allowed = (one for one in self.requests() if one.allowed and not one.resource.startswith("/"))
        return {(one.group, one.resource, one.verb) for one in allowed}


def _read(log: Path, start: int) -> Iterator[Request]:
    if not log.exists():
        return
    with log.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return  # still being written
            event = json.loads(line)
            if event["verb"] == "watch" and event["stage"] == "ResponseComplete":
                continue  # noted already when it began
            if event["verb"] != "watch" and event["stage"] == "ResponseStarted":
                continue  # the end of the same request follows
            about, code = event.get("objectRef", {}), event.get("responseStatus", {}).get("code", 0)
            decision = event.get("annotations", {}).get("authorization.k8s.io/decision")
            parts = [about.get("resource", event["requestURI"].partition("?")[0]), about.get("subresource", "")]
            yield Request(
                user=event["user"]["username"],
                agent=event.get("userAgent", ""),
                verb=event["verb"],
                group=about.get("apiGroup", ""),
                resource="/".join(filter(None, parts)),
                namespace=about.get("namespace", ""),
                name=about.get("name", ""),
                code=code,
                allowed=decision != "forbid" and code != 403,
                at=event["requestReceivedTimestamp"],
            )
