"""The operator's flags: Flagger's names and defaults, as Go programs take them (`-flag=value`, one dash or two).

Parsed once into one frozen value; nobody else reads arguments or the environment. `--help` and the reference page of
the flags both come from the table below.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
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


FLAGS = (
    Flag("kubeconfig", "", "path to a kubeconfig; empty means the cluster this runs in"),
    Flag("master", "", "URL of the API server, instead of the one in the kubeconfig"),
    Flag("kubeconfig-qps", 0.0, "requests per second to the API server; 0 leaves it to the server's own flow control"),
    Flag("kubeconfig-burst", 250, "requests that may go out at once before -kubeconfig-qps applies"),
    Flag("metrics-server", "http://prometheus:9090", "Prometheus for built-in checks and inline queries"),
    Flag("control-loop-interval", "10s", "accepted for Flagger's sake; changes are noticed at once"),
    Flag("log-level", "info", "how much to log", choices=LEVELS),
    Flag("port", 8080, "port of /metrics, /healthz and /readyz"),
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
    Flag("settle-time", "2s", "time for proxies to follow before pods without traffic are taken away"),
    Flag("minimum-interval", "10s", "shorter analysis intervals are raised to this"),
    Flag("zap-encoding", "json", "format of log lines", choices=("json", "console")),
    Flag("zap-replace-globals", False, "accepted for Flagger's sake; without effect"),
    Flag("version", False, "print the version and exit"),
)

_KLOG = ("v", "vmodule", "logtostderr", "alsologtostderr", "stderrthreshold", "log_dir", "log_file", "skip_headers")
"""Flags of Go's logger that Flagger's image accepts; their values are read and have no effect."""


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
        )

    def seconds(self, name: str) -> float:
        """A duration flag in seconds."""
        return parse_duration(self[name])


def parse(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> Flags:
    """Flags from arguments and environment; prints the usage and exits with 2 when something is wrong."""
    parser = _parser()
    found = vars(parser.parse_args([_spelled_out(argument) for argument in argv]))
    values = {flag.name: found[flag.name] for flag in FLAGS}
    for flag in FLAGS:
        if flag.env and environ.get(flag.env):
            values[flag.name] = environ[flag.env]
    for name in ("control-loop-interval", "settle-time", "minimum-interval"):
        try:
            parse_duration(values[name])
        except ValueError as error:
            parser.error(f"argument -{name}: {error}")
    return Flags(values)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradatim operator", description="Release new versions step by step.", allow_abbrev=False
    )
    for flag in FLAGS:
        shown = f"{flag.text} (default {_shown(flag.default)}{f', or ${flag.env}' if flag.env else ''})"
        parser.add_argument(
            f"-{flag.name}",
            f"--{flag.name}",
            dest=flag.name,
            default=flag.default,
            type=_reader(flag.default),
            choices=flag.choices or None,
            metavar="" if isinstance(flag.default, bool) else type(flag.default).__name__.upper(),
            help=shown.replace("%", "%%"),
        )
    for name in _KLOG:
        parser.add_argument(f"-{name}", f"--{name}", dest=f"klog-{name}", help=argparse.SUPPRESS)
    return parser


def _spelled_out(argument: str) -> str:
    """A switch without a value means true, as in Go; it never takes the next argument for its value."""
    switches = {flag.name for flag in FLAGS if isinstance(flag.default, bool)} | {"logtostderr", "alsologtostderr"}
    return f"{argument}=true" if argument.startswith("-") and argument.lstrip("-") in switches else argument


def _reader(default: object) -> Any:
    return _truth if isinstance(default, bool) else type(default)


def _truth(text: str) -> bool:
    """A truth value as Go's strconv.ParseBool reads it."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def _shown(default: object) -> str:
    return '""' if default == "" else str(default).lower() if isinstance(default, bool) else str(default)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
