"""The row of a pod: one word for its state, out of all its containers."""

from __future__ import annotations

from collections.abc import Iterable

from gradatim.ports.objects import Manifest
from gradatim.sim.metadata import moment
from gradatim.sim.tables.columns import NONE, Cells, Layout, age, heads, since

COLUMNS = heads("Name", "Ready", "Status", "Restarts", "Age", wide=("IP", "Node", "Nominated Node", "Readiness Gates"))
_OVER = ("Succeeded", "Failed")


def row(pod: Manifest, now: float) -> Cells:
    """One pod."""
    status, spec = pod.get("status", {}), pod["spec"]
    statuses = status.get("containerStatuses") or ()
    ready = sum(1 for one in statuses if one.get("ready") and "running" in one.get("state", {}))
    return [
        pod["metadata"]["name"],
        f"{ready}/{len(spec.get('containers', ()))}",
        word(pod),
        _restarts(statuses, now),
        age(pod, now),
        status.get("podIP") or next((ip["ip"] for ip in status.get("podIPs", ())), NONE),
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(pod),
    ]


def word(pod: Manifest) -> str:
    """What kubectl calls the state of a pod."""
    status = pod.get("status", {})
    phase = status.get("phase", "")
    found = _initialising(pod) or _running(status)
    if "deletionTimestamp" in pod["metadata"]:
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if phase not in _OVER:
            return "Terminating"
    return found


def _initialising(pod: Manifest) -> str:
    """What the first init container that is not done yet is doing; empty if they all are."""
    total = len(pod["spec"].get("initContainers", ()))
    for index, one in enumerate(pod.get("status", {}).get("initContainerStatuses") or ()):
        state = one.get("state", {})
        if "terminated" in state:
            if not state["terminated"].get("exitCode"):
                continue
            return f"Init:{_ended(state['terminated'])}"
        waiting = state.get("waiting", {}).get("reason", "")
        return f"Init:{waiting}" if waiting not in ("", "PodInitializing") else f"Init:{index}/{total}"
    return ""


def _running(status: Manifest) -> str:
    word, error, running = str(status.get("reason") or status.get("phase", "")), "", False
    for one in reversed(status.get("containerStatuses") or ()):
        state = one.get("state", {})
        if state.get("waiting", {}).get("reason"):
            word = state["waiting"]["reason"]
        elif "terminated" in state:
            word = _ended(state["terminated"])
            error = word if state["terminated"].get("exitCode") else error
        elif one.get("ready") and "running" in state:
            running = True
    if word != "Completed":
        return word
    if running and _condition(status, "Ready"):
        return "Running"
    return error or ("NotReady" if running else word)


def _ended(terminated: Manifest) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _restarts(statuses: Iterable[Manifest], now: float) -> str:
    count, last = 0, ""
    for one in statuses:
        count += one.get("restartCount", 0)
        ended = one.get("lastState", {}).get("terminated", {}).get("finishedAt") or ""
        last = max(last, ended, key=lambda text: moment(text) if text else 0)
    return f"{count} ({since(last, now)} ago)" if count and last else str(count)


def _condition(status: Manifest, kind: str) -> bool:
    found = status.get("conditions") or ()
    return any(one.get("type") == kind and one.get("status") == "True" for one in found)


def _gates(pod: Manifest) -> str:
    gates = pod["spec"].get("readinessGates") or ()
    if not gates:
        return NONE
    met = sum(1 for gate in gates if _condition(pod.get("status", {}), gate["conditionType"]))
    return f"{met}/{len(gates)}"


LAYOUT = Layout(COLUMNS, row)
