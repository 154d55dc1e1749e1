"""The operator's command line: Flagger's names, Go's way of writing them, and clear words about what is wrong."""

from __future__ import annotations

import pytest

from gradatim.apps import operator
from gradatim.apps.flags import FLAGS, Flags, parse, usage
from gradatim.core.settings import Settings

FLAGGER = {
    "kubeconfig": "",
    "master": "",
    "kubeconfig-qps": 100,
    "kubeconfig-burst": 250,
    "kubeconfig-service-mesh": "",
    "metrics-server": "http://prometheus:9090",
    "control-loop-interval": "10s",
    "log-level": "debug",
    "port": 8080,
    "slack-url": "",
    "slack-token": "",
    "slack-proxy-url": "",
    "slack-user": "flagger",
    "slack-channel": "",
    "msteams-url": "",
    "msteams-proxy-url": "",
    "event-webhook": "",
    "cluster-name": "",
    "include-label-prefix": "",
    "selector-labels": "app,name,app.kubernetes.io/name",
    "enable-config-tracking": True,
    "threadiness": 2,
    "mesh-provider": "istio",
    "ingress-annotations-prefix": "nginx.ingress.kubernetes.io",
    "ingress-class": "",
    "namespace": "",
    "enable-leader-election": False,
    "leader-election-namespace": "kube-system",
    "no-cross-namespace-refs": False,
    "zap-encoding": "json",
    "zap-replace-globals": False,
    "version": False,
}
"""Every flag of Flagger 1.44 and its default."""

OTHERWISE = {"kubeconfig-qps": 0, "log-level": "info"}
"""Defaults that differ on purpose: the first in docs/decisions/0005, the second is what Flagger's chart sets."""

ENVIRONMENT = {
    "slack-url": "SLACK_URL",
    "slack-token": "SLACK_TOKEN",
    "slack-proxy-url": "SLACK_PROXY_URL",
    "msteams-url": "MSTEAMS_URL",
    "msteams-proxy-url": "MSTEAMS_PROXY_URL",
    "event-webhook": "EVENT_WEBHOOK_URL",
}

KLOG = {
    **dict.fromkeys(("add_dir_header", "alsologtostderr", "logtostderr", "one_output"), "true"),
    **dict.fromkeys(("skip_headers", "skip_log_headers"), "true"),
    **{"log_backtrace_at": ":0", "log_dir": "/tmp", "log_file": "x", "log_file_max_size": "1800"},
    **{"stderrthreshold": "INFO", "v": "4", "vmodule": "queue=2"},
}

SAMPLES = {"control-loop-interval": "30s", "settle-time": "3s", "minimum-interval": "1m30s", "drain-timeout": "1m"}
SAMPLES |= {"log-level": "warn", "zap-encoding": "console"}
CAN_BE_SET = [flag.name for flag in FLAGS if flag.name != "kubeconfig-service-mesh"]


def given(*argv: str, **environ: str) -> Flags:
    """The flags that these arguments make, with nothing else in the environment."""
    return parse(argv, environ)


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The sentence with which these arguments are refused; it follows the usage, and the exit code is 2."""
    with pytest.raises(SystemExit) as end:
        given(*argv)
    assert end.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(usage())
    return told.err.splitlines()[-1].removeprefix("gradatim operator: ")


def sample(name: str) -> tuple[str, object]:
    """A value that is not the default, as text and as it must be read."""
    default = given()[name]
    if isinstance(default, bool):
        return str(not default).lower(), not default
    if isinstance(default, str):
        text = SAMPLES.get(name, "something=else")
        return text, text
    return "7", 7


@pytest.mark.parametrize("name", FLAGGER)
def test_every_flag_of_flagger_is_there_with_its_default(name: str) -> None:
    assert given()[name] == {**FLAGGER, **OTHERWISE}[name]


def test_the_differing_defaults_do_differ() -> None:
    assert {name for name, default in FLAGGER.items() if given()[name] != default} == set(OTHERWISE)


def test_only_three_flags_are_ours_alone() -> None:
    assert {flag.name for flag in FLAGS} - set(FLAGGER) == {"settle-time", "drain-timeout", "minimum-interval"}


@pytest.mark.parametrize("name", CAN_BE_SET)
@pytest.mark.parametrize("dashes", ["-", "--"])
def test_a_flag_takes_one_dash_or_two_and_its_value_behind_an_equals_sign(name: str, dashes: str) -> None:
    text, value = sample(name)
    assert given(f"{dashes}{name}={text}")[name] == value


@pytest.mark.parametrize("name", [name for name in CAN_BE_SET if not isinstance(given()[name], bool)])
@pytest.mark.parametrize("dashes", ["-", "--"])
def test_a_flag_takes_the_next_argument_for_its_value(name: str, dashes: str) -> None:
    text, value = sample(name)
    flags = given(f"{dashes}{name}", text, "-zap-replace-globals")
    assert flags[name] == value
    assert flags["zap-replace-globals"] is True


def test_a_value_may_begin_with_a_dash() -> None:
    assert given("-slack-channel", "-x")["slack-channel"] == "-x"


SWITCHES = [flag.name for flag in FLAGS if isinstance(flag.default, bool)]


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_alone_is_on_and_leaves_the_next_argument_alone(name: str) -> None:
    flags = given(f"-{name}", "-cluster-name=next")
    assert flags[name] is True
    assert flags["cluster-name"] == "next"


def test_a_value_behind_a_switch_is_not_taken_for_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(capsys, "-enable-leader-election", "false")
    assert told == "'false' is no flag; write -name=value, and -name=false for a switch"


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True"])
def test_switches_are_on_in_all_of_gos_words(text: str) -> None:
    assert given(f"-enable-leader-election={text}")["enable-leader-election"] is True


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "FALSE", "False"])
def test_switches_are_off_in_all_of_gos_words(text: str) -> None:
    assert given(f"-enable-config-tracking={text}")["enable-config-tracking"] is False


def test_the_last_of_several_values_counts() -> None:
    assert given("-port=1", "-port=2")["port"] == 2


@pytest.mark.parametrize(("name", "variable"), ENVIRONMENT.items())
def test_the_environment_wins_over_the_flag_unless_it_is_empty(name: str, variable: str) -> None:
    assert parse([f"-{name}=flag"], {variable: "variable"})[name] == "variable"
    assert parse([f"-{name}=flag"], {variable: ""})[name] == "flag"


def test_no_other_flag_has_a_variable() -> None:
    assert {flag.name: flag.env for flag in FLAGS if flag.env} == ENVIRONMENT


@pytest.mark.parametrize(("name", "value"), KLOG.items())
def test_flags_of_gos_logger_are_accepted_and_do_nothing(name: str, value: str) -> None:
    assert given(f"-{name}={value}", "--port=7").values == given("-port=7").values


def test_switches_of_gos_logger_leave_the_next_argument_alone() -> None:
    assert given("-logtostderr", "-port=7")["port"] == 7


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("-nonsense", "unknown flag -nonsense"),
        ("-verbose", "unknown flag -verbose"),
        ("--mesh-providr=nginx", "unknown flag -mesh-providr; did you mean -mesh-provider?"),
        ("---port=1", "unknown flag --port; did you mean -port?"),
        ("nginx", "'nginx' is no flag; write -name=value, and -name=false for a switch"),
        ("-", "unknown flag -"),
        ("-port", "-port: a value is missing"),
        ("-port=", "-port: '' is no number from 0 to 65535"),
        ("-port=eighty", "-port: 'eighty' is no number from 0 to 65535"),
        ("-port=65536", "-port: '65536' is no number from 0 to 65535"),
        ("-port=80.5", "-port: '80.5' is no number from 0 to 65535"),
        ("-threadiness=-1", "-threadiness: '-1' is no number from 0 to 2147483647"),
        ("-kubeconfig-qps=nan", "-kubeconfig-qps: 'nan' is no number from 0 to 2147483647"),
        ("-enable-leader-election=yes", "-enable-leader-election: 'yes' is neither true nor false"),
        ("-log-level=loud", "-log-level: 'loud' is none of debug, info, warn, warning, error, fatal, panic"),
        ("-zap-encoding=xml", "-zap-encoding: 'xml' is none of json, console"),
        (
            "-control-loop-interval=10",
            "-control-loop-interval: '10' is no duration; write a number and a unit, such as 30s, 1m30s or 500ms",
        ),
        ("-settle-time=-1s", "-settle-time: '-1s' is negative"),
        (
            "-minimum-interval=1d",
            "-minimum-interval: '1d' is no duration; write a number and a unit, such as 30s, 1m30s or 500ms",
        ),
        (
            "-kubeconfig-service-mesh=/x",
            "-kubeconfig-service-mesh: routes in another cluster are not supported yet; leave the flag out",
        ),
    ],
)
def test_what_is_wrong_is_told_behind_the_usage(capsys: pytest.CaptureFixture[str], argument: str, told: str) -> None:
    assert refused(capsys, argument) == told


@pytest.mark.parametrize("argument", ["-h", "--help", "-help"])
def test_help_is_the_usage_and_no_failure(capsys: pytest.CaptureFixture[str], argument: str) -> None:
    with pytest.raises(SystemExit) as end:
        given(argument)
    assert end.value.code == 0
    assert capsys.readouterr().out == usage()


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_the_usage_names_every_flag_with_its_meaning_and_its_variable(flag: object) -> None:
    known = next(one for one in FLAGS if one == flag)
    told = " ".join(usage().split())
    assert f" -{known.name} " in told
    assert " ".join(known.text.split()) in told
    assert known.env in told


def test_the_version_is_printed_and_nothing_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert operator.main(["-version", "-kubeconfig=/nowhere"]) == 0
    told = capsys.readouterr()
    assert told.out == "Gradatim version 0.1.0, compatible with Flagger v1.44\n"
    assert told.err == ""


def test_no_flags_mean_the_default_settings() -> None:
    assert given().settings() == Settings()


def test_lists_are_split_at_commas_and_durations_become_seconds() -> None:
    flags = given(
        "-selector-labels=app, component,",
        "-include-label-prefix=app.kubernetes.io,team",
        "-settle-time=1m30s",
        "-minimum-interval=500ms",
        "-enable-config-tracking=false",
        "-mesh-provider=nginx",
    )
    settings = flags.settings()
    assert settings.selector_labels == ("app", "component")
    assert settings.include_label_prefix == ("app.kubernetes.io", "team")
    assert settings.settle == 90
    assert settings.interval_floor == 0.5
    assert settings.config_tracking is False
    assert settings.mesh_provider == "nginx"
