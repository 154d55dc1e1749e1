"""Ways of going no further for now, shared by all phases."""

from __future__ import annotations

from typing import assert_never

from gradatim.api.status import Phase
from gradatim.core import news
from gradatim.core.changes import is_applied
from gradatim.core.news import News
from gradatim.core.readiness import Absent, Stuck, Waiting
from gradatim.core.record import hindered
from gradatim.core.timing import interval
from gradatim.core.verdict import Ensure, Formed, Known, Part, Plan, Target, TargetSeen, Trouble


class Held(Exception):
    """Control flow within the core: a rule ends the look with this plan."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan


def hold(known: Known, *told: News, requeue: float | None = None) -> Plan:
    """Change nothing, tell something; look again when something changes, and after an interval at the latest."""
    return Plan(news=told, requeue=interval(known) if requeue is None else requeue)


def trouble(known: Known, found: Trouble, field: str = "spec.targetRef") -> Plan:
    """Something stands in the way: say so in the status, with the field and the fix, and at most once an interval.

    It goes on when what is missing is there.
    """
    message = f"{field}: {found.message}{'; ' if found.fix else ''}{found.fix}"
    told = news.trouble(found.message, interval(known))
    return Plan(status=hindered(known, message), news=(told,), requeue=interval(known), hindered=True)


def pending(known: Known, state: Waiting | Stuck | Absent, *, tell: bool) -> Plan:
    """A workload is not ready yet; wake up when its deadline would pass."""
    told = (news.warning(state.message, once=f"pending/{state.message.split(':')[0]}", every=interval(known)),)
    wait = interval(known)
    if isinstance(state, Waiting) and state.until is not None:
        wait = min(wait, max(0.1, state.until - known.now + 0.05))
    return Plan(news=told if tell else (), requeue=wait)


def target(known: Known) -> TargetSeen:
    """The target, or the end of this look."""
    seen = known.get(Target())
    if isinstance(seen, Trouble):
        raise Held(trouble(known, seen))
    return seen


def released(known: Known) -> bool:
    """Whether the target is still there, with everything around it in shape; a release that is decided can do without.

    Nothing around a target that is gone can be kept in shape, since its labels are not known.
    """
    there = isinstance(known.get(Target()), TargetSeen)
    if there:
        surrounded(known)
    return there


def shaped(known: Known, *parts: Part, tell: bool = True) -> None:
    """Return when these parts are as they must be; otherwise end this look with setting them right."""
    shape = known.get(Formed())
    for part in parts:
        possible(known, part)
        if shape.needs(part):
            raise Held(Plan(actions=(Ensure(part),), again=True, news=_repair(known, part) if tell else ()))


def surrounded(known: Known) -> None:
    """Return when everything around the target is as it must be; otherwise end this look with setting it right.

    Services do not follow to a primary that cannot be made, such as that of a target that nobody has released.
    """
    possible(known, Part.PRIMARY)
    shaped(known, Part.SERVICES, Part.PRIMARY, Part.SCALER, Part.APEX, Part.ROUTES)


def possible(known: Known, *parts: Part) -> None:
    """Return when nothing stands in the way of these parts; otherwise end this look with saying what does."""
    shape = known.get(Formed())
    for part in parts:
        if part in shape.trouble:
            found = Trouble(shape.trouble[part], shape.fixes.get(part, ""))
            raise Held(trouble(known, found, _field(known, part)))


def _field(known: Known, part: Part) -> str:
    """The field of the Canary that a part is made from."""
    match part:
        case Part.PRIMARY:
            return "spec.targetRef"
        case Part.SCALER:
            return "spec.autoscalerRef"
        case Part.ROUTES:
            return routing_field(known)
        case Part.SERVICES | Part.APEX:
            return "spec.service"
        case never:
            assert_never(never)


def routing_field(known: Known) -> str:
    """The field that names what routes are made in."""
    spec = known.canary.spec
    refs = (("spec.ingressRef", spec.ingress_ref), ("spec.routeRef", spec.route_ref))
    return next((field for field, ref in refs if ref is not None), "spec.provider")


def _repair(known: Known, part: Part) -> tuple[News, ...]:
    """Tell of a repair, but not of carrying out an edit of the Canary, or of the target, that is not noted yet.

    A release that waits for its approval has been told of, though its target is not noted; clones follow it even then.
    """
    shape, seen = known.get(Formed()), known.get(Target())
    edited = isinstance(seen, TargetSeen) and not is_applied(known.status, seen)
    follows = edited and (known.status.phase is not Phase.WAITING or part is Part.PRIMARY)
    if follows or known.status.observed_generation != known.canary.generation:
        return ()
    changed = tuple(name for name in shape.changed if name.startswith(f"{part.value}:"))
    return (news.repaired(tuple(name.partition(":")[2] for name in changed)),) if changed else ()
