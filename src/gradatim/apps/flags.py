"""The operator's flags: Flagger's names and defaults, as Go programs take them (`-flag=value`, one dash or two).

Parsed once into one frozen value; nobody else reads arguments or the environment. `-help` and the reference page of
the flags both come from the table below. They are read by hand, because Python's argument parser takes `-verbose` for
`-v erbose`.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections import deque
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from gradatim.api.durations import parse_duration
from gradatim.core.settings import Settings

LEVELS = ("debug", "info", "warn", "warning", "error", "fatal", "panic")


class Flag(msgspec.Struct, frozen=True):
    """One flag: its default (whose type decides how it is read), what it means, and a variable that wins over it."""

    name: str
    default: str | int | float | bool
    text: str
    env: str = ""
    choices: tuple[str, ...] = ()
    duration: bool = False
    most: int | None = None
    """Upper bound of a number; the lower one is 0."""

    @property
    def sort(self) -> str:
        """What is written behind it, in one word; empty for a switch."""
        if self.duration:
            return "duration"
        return {bool: "", int: "number", float: "number", str: "text"}[type(self.default)]


FLAGS = (
    Flag("kubeconfig", "", "path to a kubeconfig; empty means the cluster this runs in"),
    Flag("master", "", "URL of the API server, instead of the one in the kubeconfig"),
    Flag("kubeconfig-service-mesh", "", "not supported yet: the program ends with an error when this is set"),
    Flag("kubeconfig-qps", 0.0, "requests per second to the API server; 0 leaves it to the server's own flow control"),
    Flag("kubeconfig-burst", 250, "requests that may go out at once before -kubeconfig-qps applies"),
    Flag("metrics-server", "http://prometheus:9090", "Prometheus for built-in checks and inline queries"),
    Flag("control-loop-interval", "10s", "accepted for Flagger's sake; changes are noticed at once", duration=True),
    Flag("log-level", "info", "how much to log", choices=LEVELS),
    Flag("port", 8080, "port of /metrics, /healthz and /readyz; 0 takes a free one", most=65535),
    Flag("slack-url", "", "Slack webhook for alerts of Canaries without alerts of their own", env="SLACK_URL"),
    Flag(
        "slack-token", "", "Slack bot token, with -slack-url=https://slack.com/api/chat.postMessage", env="SLACK_TOKEN"
    ),
    Flag("slack-proxy-url", "", "HTTP proxy on the way to Slack", env="SLACK_PROXY_URL"),
    Flag("slack-user", "flagger", "sender of Slack messages"),
    Flag("slack-channel", "", "Slack channel"),
    Flag("msteams-url", "", "Microsoft Teams webhook; when set, Slack is not used", env="MSTEAMS_URL"),
    Flag("msteams-proxy-url", "", "HTTP proxy on the way to Microsoft Teams", env="MSTEAMS_PROXY_URL"),
    Flag("event-webhook", "", "URL that receives the events of Canaries without event hooks", env="EVENT_WEBHOOK_URL"),
    Flag("cluster-name", "", "name of the cluster in alerts"),
    Flag("include-label-prefix", "", "comma list of label-key prefixes copied to primaries; * copies all"),
    Flag("selector-labels", "app,name,app.kubernetes.io/name", "comma list of label keys that tell pods apart"),
    Flag("enable-config-tracking", True, "copy ConfigMaps and Secrets to primaries and watch them for changes"),
    Flag("threadiness", 2, "accepted for Flagger's sake; every Canary is worked on as soon as it is due"),
    Flag("mesh-provider", "istio", "mesh of Canaries without spec.provider"),
    Flag("ingress-annotations-prefix", "nginx.ingress.kubernetes.io", "prefix of NGINX canary annotations"),
    Flag("ingress-class", "", "ingress class written on Contour proxies"),
    Flag("namespace", "", "the one namespace to watch; empty means all"),
    Flag("enable-leader-election", False, "let one of several instances lead"),
    Flag("leader-election-namespace", "kube-system", "namespace of the Lease; -namespace wins when set"),
    Flag("no-cross-namespace-refs", False, "refuse references to other namespaces"),
    Flag(
        "settle-time",
        "2s",
        "time for proxies to follow before pods without traffic go, two fifths of it to learn of new pods",
        duration=True,
    ),
    Flag(
        "drain-timeout",
        "0s",
        "how long such pods are kept at most while the metrics server counts requests to them; 0 does not ask it",
        duration=True,
    ),
    Flag("minimum-interval", "10s", "shorter analysis intervals are raised to this", duration=True),
    Flag("zap-encoding", "json", "format of log lines", choices=("json", "console")),
    Flag("zap-replace-globals", False, "accepted for Flagger's sake; without effect"),
    Flag("version", False, "print the version and exit"),
)

_KLOG: dict[str, str | bool] = {
    **dict.fromkeys(("add_dir_header", "alsologtostderr", "logtostderr", "one_output"), False),
    **dict.fromkeys(("skip_headers", "skip_log_headers"), False),
    **dict.fromkeys(("log_backtrace_at", "log_dir", "log_file", "log_file_max_size"), ""),
    **dict.fromkeys(("stderrthreshold", "v", "vmodule"), ""),
}
"""Flags of Go's logger that Flagger's image accepts, by default; their values are read and have no effect."""


class Wrong(Exception):
    """What is wrong with the arguments, in a sentence."""


class Flags(msgspec.Struct, frozen=True):
    """All flags with their values, by name."""

    values: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def settings(self) -> Settings:
        """Those flags that decisions and translations depend on."""
        return Settings(
            mesh_provider=self["mesh-provider"],
            metrics_server=self["metrics-server"],
            selector_labels=_listed(self["selector-labels"]),
            include_label_prefix=_listed(self["include-label-prefix"]),
            config_tracking=self["enable-config-tracking"],
            ingress_annotations_prefix=self["ingress-annotations-prefix"],
            ingress_class=self["ingress-class"],
            no_cross_namespace_refs=self["no-cross-namespace-refs"],
            cluster_name=self["cluster-name"],
            interval_floor=self.seconds("minimum-interval"),
            settle=self.seconds("settle-time"),
            drain=self.seconds("drain-timeout"),
        )

    def seconds(self, name: str) -> float:
        """A duration flag in seconds."""
        return parse_duration(self[name])


def parse(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> Flags:
    """Flags from arguments and environment; prints the usage and exits with 2 when something is wrong."""
    try:
        given = _given(argv)
        if given.keys() & {"h", "help"}:
            sys.stdout.write(usage())
            raise SystemExit(0)
        given |= {flag.name: environ[flag.env] for flag in FLAGS if flag.env and environ.get(flag.env)}
        values = {flag.name: _value(flag, given[flag.name]) if flag.name in given else flag.default for flag in FLAGS}
        if values["kubeconfig-service-mesh"]:
            raise Wrong("-kubeconfig-service-mesh: routes in another cluster are not supported yet; leave the flag out")
    except Wrong as error:
        sys.stderr.write(f"{usage()}\ngradatim operator: {error}\n")
        raise SystemExit(2) from None
    return Flags(values)


def usage() -> str:
    """Every flag with its default and what it means."""
    lines = ["usage: gradatim operator [-FLAG=VALUE ...]", "", "Release new versions step by step.", ""]
    for flag in FLAGS:
        lines.append(f"  -{flag.name} {flag.sort}".rstrip())
        notes = [f"default {shown(flag.default)}", f"or ${flag.env}" if flag.env else "", " ".join(flag.choices)]
        text = f"{flag.text} ({', '.join(filter(None, notes[:2]))}{f'; one of {notes[2]}' if notes[2] else ''})"
        lines += textwrap.wrap(text, 100, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join(lines) + "\n"


def shown(default: object) -> str:
    """A default as one writes it on the command line."""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else f"{default}" or '""'


def _given(argv: Sequence[str]) -> dict[str, str]:
    """What the arguments say, as texts. A switch without a value means true and never takes the next argument."""
    known: dict[str, object] = {**_KLOG, "h": False, "help": False, **{flag.name: flag.default for flag in FLAGS}}
    given: dict[str, str] = {}
    rest = deque(argv)
    while rest:
        argument = rest.popleft()
        name, equals, value = argument.removeprefix("-").removeprefix("-").partition("=")
        if not argument.startswith("-"):
            raise Wrong(f"{argument!r} is no flag; write -name=value, and -name=false for a switch")
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise Wrong(f"unknown flag -{name}" + (f"; did you mean -{near[0]}?" if near else ""))
        if not equals and isinstance(known[name], bool):
            value = "true"
        elif not equals:
            if not rest:
                raise Wrong(f"-{name}: a value is missing")
            value = rest.popleft()
        given[name] = value
    return given


def _value(flag: Flag, text: str) -> str | int | float | bool:
    """The value of a flag; raises Wrong, with what would be right."""
    try:
        if isinstance(flag.default, bool):
            return _truth(text)
        if isinstance(flag.default, str):
            return _worded(flag, text)
        return _counted(flag, text)
    except ValueError as error:
        raise Wrong(f"-{flag.name}: {error}") from None


def _worded(flag: Flag, text: str) -> str:
    if flag.choices and text not in flag.choices:
        raise ValueError(f"{text!r} is none of {', '.join(flag.choices)}")
    if flag.duration and parse_duration(text) < 0:
        raise ValueError(f"{text!r} is negative")
    return text


def _counted(flag: Flag, text: str) -> int | float:
    most = flag.most if flag.most is not None else 2**31 - 1
    try:
        number = int(text) if isinstance(flag.default, int) else float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        raise ValueError(f"{text!r} is no number from 0 to {most}")
    return number


def _truth(text: str) -> bool:
    """A truth value as Go's strconv.ParseBool reads it."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
