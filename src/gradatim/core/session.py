"""Session affinity: which cookies a run hands out, and when they are withdrawn.

Cookie values come from the token of the look, so the core needs no chance of its own, and they are part of the status
that is recorded with the step.
"""

from __future__ import annotations

import hashlib
import string

import msgspec

from gradatim.api.status import CanaryStatus
from gradatim.core.verdict import Known, Plan, Shift
from gradatim.core.weights import Routes

LENGTH = 10


def value(token: str, purpose: str) -> str:
    """Ten ASCII letters drawn from a token; different purposes give different values."""
    digest = hashlib.sha256(f"{purpose}:{token}".encode()).digest()
    return "".join(string.ascii_letters[byte % len(string.ascii_letters)] for byte in digest[:LENGTH])


def with_cookies(known: Known, plan: Plan) -> Plan:
    """The plan with the cookies of its last shift in its status."""
    shift = next((action for action in reversed(plan.actions) if isinstance(action, Shift)), None)
    if shift is None or plan.status is None:
        return plan
    return msgspec.structs.replace(plan, status=cookies(known, plan.status, shift.to))


def cookies(known: Known, status: CanaryStatus, to: Routes) -> CanaryStatus:
    """The status with the cookies of a split: handed out with the first weight, withdrawn when the canary has none."""
    affinity = known.canary.spec.analysis.session_affinity
    if affinity is None or not known.traits.session_affinity:
        return status
    if to.canary == 0:
        previous = status.session_affinity_cookie or status.previous_session_affinity_cookie
        return msgspec.structs.replace(status, session_affinity_cookie="", previous_session_affinity_cookie=previous)
    canary = status.session_affinity_cookie or f"{affinity.cookie_name}={value(known.token, 'canary')}"
    primary = status.primary_session_affinity_cookie
    if affinity.primary_cookie_name and known.traits.primary_cookie and not primary:
        primary = f"{affinity.primary_cookie_name}={value(known.token, 'primary')}"
    return msgspec.structs.replace(status, session_affinity_cookie=canary, primary_session_affinity_cookie=primary)
