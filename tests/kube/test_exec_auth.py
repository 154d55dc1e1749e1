"""Credentials from a plug-in: a real program, run beside the loop."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from gradatim.kube.auth import load
from gradatim.kube.credentials import Credentials
from gradatim.kube.errors import Unauthorized

from .certificates import Authority

V1, V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"
NOON = 1_700_000_000.0

PROGRAM = f"""#!{sys.executable}
import json, os, sys, pathlib, time
here = pathlib.Path(__file__).parent
with open(here / "runs", "a") as log:
    log.write(json.dumps({{"args": sys.argv[1:], "info": json.loads(os.environ["KUBERNETES_EXEC_INFO"]),
                          "mode": os.environ.get("MODE"), "stdin": sys.stdin.read()}}) + "\\n")
answer = json.loads((here / "answer").read_text())
if "sleep" in answer:
    time.sleep(answer["sleep"])
if "fail" in answer:
    print(answer["fail"], file=sys.stderr)
    sys.exit(3)
print(answer["output"] if "output" in answer else json.dumps(answer))
"""


class Plugin:
    """A plug-in in a folder, beside the kubeconfig that names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOON
        program = folder / "bin" / "plugin"
        program.parent.mkdir()
        program.write_text(PROGRAM)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.answers(token="first")

    def answers(self, version: str = V1, **status: Any) -> None:
        self.writes({"apiVersion": version, "kind": "ExecCredential", "status": status})

    def writes(self, answer: Any) -> None:
        (self.folder / "bin" / "answer").write_text(json.dumps(answer))

    def credentials(self, user: Any = None, **config: Any) -> Credentials:
        settings = {"apiVersion": V1, "command": "bin/plugin", "interactiveMode": "IfAvailable", **config}
        cluster = {
            "server": "https://10.0.0.1",
            "tls-server-name": "kube",
            "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}],
        }
        path = self.folder / "config"
        content = {
            "current-context": "dev",
            "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"exec": settings, **(user or {})}}],
        }
        path.write_text(yaml.safe_dump(content))
        return load(str(path), wall=lambda: self.now).credentials

    @property
    def runs(self) -> list[dict[str, Any]]:
        path = self.folder / "bin" / "runs"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


def stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {token}"),)


@pytest.mark.asyncio
@pytest.mark.parametrize("version", [V1, V1BETA1])
async def test_the_program_gets_what_it_is_told_and_gives_a_token(plugin: Plugin, version: str) -> None:
    plugin.answers(version, token="abc")
    env = [{"name": "MODE", "value": "test"}]
    credentials = plugin.credentials(apiVersion=version, args=["get", "--x"], env=env, provideClusterInfo=True)
    identity = await credentials.identity()
    assert identity.headers == bearer("abc")
    assert await credentials.identity() is identity
    (run,) = plugin.runs
    assert (run["args"], run["mode"], run["stdin"]) == (["get", "--x"], "test", "")
    assert run["info"]["apiVersion"] == version
    assert run["info"]["kind"] == "ExecCredential"
    assert run["info"]["spec"]["interactive"] is False
    assert run["info"]["spec"]["cluster"] == {
        "server": "https://10.0.0.1",
        "tls-server-name": "kube",
        "config": {"audience": "x"},
    }


@pytest.mark.asyncio
async def test_the_cluster_is_only_told_to_those_who_ask(plugin: Plugin) -> None:
    await plugin.credentials().identity()
    assert "cluster" not in plugin.runs[0]["info"]["spec"]


@pytest.mark.asyncio
async def test_impersonation_goes_with_it_and_a_plain_token_goes_before_it(plugin: Plugin) -> None:
    identity = await plugin.credentials({"as": "bot"}).identity()
    assert identity.headers == (*bearer("first"), ("Impersonate-User", "bot"))
    identity = await plugin.credentials({"token": "plain"}).identity()
    assert identity.headers == bearer("plain")
    assert len(plugin.runs) == 1


@pytest.mark.asyncio
async def test_a_token_that_expires_is_replaced_before_it_does(plugin: Plugin) -> None:
    plugin.answers(token="first", expirationTimestamp=stamp(NOON + 100))
    credentials = plugin.credentials()
    assert (await credentials.identity()).headers == bearer("first")
    plugin.answers(token="second", expirationTimestamp=stamp(NOON + 1000))
    plugin.now = NOON + 89
    assert (await credentials.identity()).headers == bearer("first")
    plugin.now = NOON + 91
    assert (await credentials.identity()).headers == bearer("second")
    assert len(plugin.runs) == 2


@pytest.mark.asyncio
async def test_credentials_that_are_expired_already_do_not_start_the_program_for_every_request(plugin: Plugin) -> None:
    plugin.answers(token="old", expirationTimestamp=stamp(NOON - 100))
    credentials = plugin.credentials()
    for _ in range(5):
        await credentials.identity()
    assert len(plugin.runs) == 1
    plugin.now = NOON + 2
    await credentials.identity()
    assert len(plugin.runs) == 2


@pytest.mark.asyncio
async def test_a_refused_token_is_replaced_once_for_all_who_were_refused(plugin: Plugin) -> None:
    credentials = plugin.credentials()
    first = await credentials.identity()
    plugin.answers(token="second")
    await asyncio.gather(*(credentials.renew(first) for _ in range(5)))
    assert (await credentials.identity()).headers == bearer("second")
    await credentials.renew(first)
    assert len(plugin.runs) == 2


@pytest.mark.asyncio
async def test_a_certificate_from_the_program(plugin: Plugin) -> None:
    chain, key = Authority().client("me")
    plugin.answers(clientCertificateData=chain.decode(), clientKeyData=key.decode())
    identity = await plugin.credentials().identity()
    assert identity.headers == ()
    assert identity.certificate is not None
    assert (identity.certificate.chain, identity.certificate.key) == (chain, key)


@pytest.mark.asyncio
async def test_many_requests_wait_for_one_run_and_the_loop_goes_on_meanwhile(plugin: Plugin) -> None:
    plugin.writes({"sleep": 0.3, "apiVersion": V1, "kind": "ExecCredential", "status": {"token": "slow"}})
    credentials = plugin.credentials()
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    beating = asyncio.create_task(beat())
    identities = await asyncio.gather(*(credentials.identity() for _ in range(10)))
    beating.cancel()
    assert {identity.headers for identity in identities} == {bearer("slow")}
    assert len(plugin.runs) == 1
    assert beats >= 5


@pytest.mark.asyncio
async def test_a_request_that_gives_up_does_not_stop_a_slow_program(plugin: Plugin) -> None:
    plugin.writes({"sleep": 0.2, "apiVersion": V1, "kind": "ExecCredential", "status": {"token": "slow"}})
    credentials = plugin.credentials()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await credentials.identity()
    assert (await credentials.identity()).headers == bearer("slow")
    assert len(plugin.runs) == 1


@pytest.mark.asyncio
async def test_a_program_that_hangs_is_killed(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradatim.kube.exec_auth.RUN_TIMEOUT", 0.1)
    plugin.writes({"sleep": 60})
    started = time.monotonic()
    with pytest.raises(Unauthorized, match="did not finish within"):
        await plugin.credentials().identity()
    assert time.monotonic() - started < 10


@pytest.mark.asyncio
async def test_a_program_that_is_not_there_brings_the_hint(plugin: Plugin) -> None:
    credentials = plugin.credentials(command="no-such-plugin", installHint="brew install no-such-plugin")
    with pytest.raises(Unauthorized) as caught:
        await credentials.identity()
    assert f"{plugin.folder / 'config'}: users[u].user.exec: no-such-plugin cannot be started" in caught.value.message
    assert caught.value.message.endswith("\nbrew install no-such-plugin")


def output(text: str) -> Callable[[Plugin], None]:
    return lambda plugin: plugin.writes({"output": text})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda p: p.writes({"fail": "log in first"}), "failed with exit code 3: log in first\nask IT"),
        (output("Your token is s3cret"), "printed something that is no ExecCredential"),
        (output(""), "printed something that is no ExecCredential"),
        (lambda p: p.answers(V1BETA1, token="x"), f"ExecCredential of {V1BETA1}, but exec.apiVersion is {V1}"),
        (output('{"kind":"Other","apiVersion":"client.authentication.k8s.io/v1"}'), "printed a Other"),
        (lambda p: p.answers(), "gave neither a token nor a certificate"),
        (lambda p: p.answers(token=None), "gave neither a token nor a certificate"),
        (lambda p: p.answers(clientCertificateData="x"), "a certificate without its key"),
        (lambda p: p.answers(clientCertificateData="x", clientKeyData="y"), "cannot be used together"),
        (lambda p: p.answers(token="x", expirationTimestamp="soon"), "'soon' is no RFC 3339 time"),
    ],
)
async def test_a_program_that_does_not_do_its_job_is_named(
    plugin: Plugin, prepare: Callable[[Plugin], None], words: str
) -> None:
    prepare(plugin)
    credentials = plugin.credentials(installHint="ask IT")
    with pytest.raises(Unauthorized) as caught:
        await credentials.identity()
    assert words in caught.value.message
    assert "users[u].user.exec" in caught.value.message
    assert "s3cret" not in caught.value.message
    plugin.answers(token="well again")
    assert (await credentials.identity()).headers == bearer("well again")


@pytest.mark.asyncio
async def test_the_cas_of_the_cluster_are_passed_on_as_base64(plugin: Plugin) -> None:
    authority = Authority()
    plugin.credentials()
    content = yaml.safe_load((plugin.folder / "config").read_text())
    content["clusters"][0]["cluster"] |= {"certificate-authority-data": b64encode(authority.pem).decode()}
    content["users"][0]["user"]["exec"]["provideClusterInfo"] = True
    (plugin.folder / "config").write_text(yaml.safe_dump(content))
    await load(str(plugin.folder / "config"), wall=lambda: NOON).credentials.identity()
    told = plugin.runs[0]["info"]["spec"]["cluster"]
    assert told["certificate-authority-data"] == b64encode(authority.pem).decode()
