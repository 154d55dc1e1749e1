"""The flags of `gradatim operator`."""

from __future__ import annotations

from tables import code, table

from gradatim.apps.flags import FLAGS, Flag, shown

_HEAD = """\
# Flags of the operator

`gradatim operator` takes Flagger's flags as Flagger does: `-flag=value` or `-flag value`, with one dash or two; a
switch is `-flag` or `-flag=false`. An unknown flag, or a value that cannot be, prints the usage and ends the program
with 2. Flags of Go's logger (`-v`, `-logtostderr` and the like) are accepted and do nothing.

A variable of the environment wins over the flag that it belongs to, unless it is empty. `KUBECONFIG` is not looked at.
`HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are, as Go programs read them.

"""

_OTHERWISE = {
    "kubeconfig-qps": "Flagger: 100, see [decision 5](../decisions/0005-no-client-side-rate-limit.md).",
    "log-level": "Flagger: debug, and its chart sets info.",
    "settle-time": "Not in Flagger.",
    "drain-timeout": "Not in Flagger, see [decision 17](../decisions/0017-before-pods-go.md).",
    "minimum-interval": "Not in Flagger.",
}


def page() -> str:
    """The whole page."""
    return _HEAD + table(("Flag", "Value", "Default", "Meaning"), map(_row, FLAGS))


def _row(flag: Flag) -> tuple[str, str, str, str]:
    meaning = f"{flag.text[0].upper()}{flag.text[1:]}."
    notes = [f"One of {', '.join(map(code, flag.choices))}." if flag.choices else ""]
    notes += [f"Variable: `{flag.env}`." if flag.env else "", _OTHERWISE.get(flag.name, "")]
    text = " ".join([meaning, *filter(None, notes)])
    return code(f"-{flag.name}"), flag.sort or "switch", code(shown(flag.default)), text
