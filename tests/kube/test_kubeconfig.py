"""Every form of a kubeconfig, and every mistake in one."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml

from gradatim.kube.auth import default_kubeconfig, in_cluster, load
from gradatim.kube.credentials import Access, Identity
from gradatim.kube.errors import ConfigError, Unauthorized

from .certificates import Authority, Pem

SERVER = "https://10.0.0.1:6443"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pem:
    return authority.client("admin")


def written(
    folder: Path, *, cluster: Any = None, user: Any = None, context: Any = None, name: str = "config", **top: Any
) -> Path:
    """A kubeconfig with one context, `dev`."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u", **(context or {})}}],
        "clusters": [{"name": "c", "cluster": {"server": SERVER} if cluster is None else cluster}],
        "users": [{"name": "u", "user": user or {}}],
        **top,
    }
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config))
    return path


def read(path: Path | str, **settings: Any) -> Access:
    return load(str(path), **settings)


def who(access: Access) -> Identity:
    return asyncio.run(access.credentials.identity())  # type: ignore[arg-type]


def b64(content: bytes) -> str:
    return b64encode(content).decode()


def test_the_plainest_kubeconfig(tmp_path: Path) -> None:
    access = read(written(tmp_path))
    assert access.server == SERVER
    assert access.namespace == "default"
    assert who(access) == Identity()


def test_the_namespace_of_the_context(tmp_path: Path) -> None:
    assert read(written(tmp_path, context={"namespace": "test"})).namespace == "test"


def test_another_context_can_be_chosen(tmp_path: Path) -> None:
    contexts = [{"name": name, "context": {"cluster": "c", "user": "u", "namespace": name}} for name in ("dev", "prod")]
    assert read(written(tmp_path, contexts=contexts), context="prod").namespace == "prod"


def test_a_bearer_token(tmp_path: Path) -> None:
    identity = who(read(written(tmp_path, user={"token": "abc"})))
    assert identity.headers == (("Authorization", "Bearer abc"),)


def test_name_and_password(tmp_path: Path) -> None:
    identity = who(read(written(tmp_path, user={"username": "me", "password": "pa:ss"})))
    assert identity.headers == (("Authorization", "Basic " + b64(b"me:pa:ss")),)


def test_a_token_file_is_read_again_every_minute(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    time = [0.0]
    access = read(written(tmp_path, user={"tokenFile": "token"}), clock=lambda: time[0])
    assert who(access).headers == (("Authorization", "Bearer first"),)
    (tmp_path / "token").write_text("second")
    time[0] = 59
    assert who(access).headers == (("Authorization", "Bearer first"),)
    time[0] = 60
    assert who(access).headers == (("Authorization", "Bearer second"),)


def test_a_token_file_that_vanishes_for_a_moment_leaves_the_old_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first")
    time = [0.0]
    access = read(written(tmp_path, user={"tokenFile": "token"}), clock=lambda: time[0])
    assert who(access).headers
    (tmp_path / "token").unlink()
    time[0] = 61
    assert who(access).headers == (("Authorization", "Bearer first"),)


def test_a_refused_token_is_read_again_at_once(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first")
    access = read(written(tmp_path, user={"tokenFile": "token"}), clock=lambda: 0.0)

    async def main() -> None:
        first = await access.credentials.identity()
        (tmp_path / "token").write_text("second")
        assert await access.credentials.identity() == first
        await access.credentials.renew(first)
        second = await access.credentials.identity()
        assert second.headers == (("Authorization", "Bearer second"),)
        (tmp_path / "token").write_text("third")
        await access.credentials.renew(first)  # somebody else's refusal, long mended
        assert await access.credentials.identity() == second

    asyncio.run(main())


@pytest.mark.parametrize("form", ["data", "files"])
def test_certificates_as_data_and_as_files_relative_to_the_kubeconfig(
    tmp_path: Path, authority: Authority, pair: Pem, form: str
) -> None:
    if form == "data":
        cluster = {"certificate-authority-data": b64(authority.pem)}
        user = {"client-certificate-data": b64(pair[0]), "client-key-data": b64(pair[1])}
    else:
        (tmp_path / "pki").mkdir()
        for name, content in (("ca.pem", authority.pem), ("me.pem", pair[0]), ("me.key", pair[1])):
            (tmp_path / "pki" / name).write_bytes(content)
        cluster = {"certificate-authority": "pki/ca.pem"}
        user = {"client-certificate": "pki/me.pem", "client-key": str(tmp_path / "pki" / "me.key")}
    access = read(written(tmp_path, cluster={"server": SERVER, **cluster}, user=user))
    certificate = who(access).certificate
    assert access.ca == authority.pem
    assert certificate is not None
    assert (certificate.chain, certificate.key) == pair


def test_data_goes_before_files(tmp_path: Path, authority: Authority) -> None:
    cluster = {
        "server": SERVER,
        "certificate-authority": "not/there",
        "certificate-authority-data": b64(authority.pem),
    }
    assert read(written(tmp_path, cluster=cluster)).ca == authority.pem


def test_rotated_certificate_files_are_read_again(tmp_path: Path, authority: Authority, pair: Pem) -> None:
    time = [0.0]
    (tmp_path / "me.pem").write_bytes(pair[0])
    (tmp_path / "me.key").write_bytes(pair[1])
    config = written(tmp_path, user={"client-certificate": "me.pem", "client-key": "me.key"})
    access = read(config, clock=lambda: time[0])
    assert who(access).certificate is not None
    fresh = authority.client("admin")
    (tmp_path / "me.pem").write_bytes(fresh[0])
    (tmp_path / "me.key").write_bytes(fresh[1])
    time[0] = 60
    certificate = who(access).certificate
    assert certificate is not None
    assert (certificate.chain, certificate.key) == fresh


def test_everything_else_a_cluster_can_say(tmp_path: Path) -> None:
    cluster = {
        "server": SERVER + "/k8s/clusters/c-1/",
        "insecure-skip-tls-verify": True,
        "tls-server-name": "kube.internal",
        "proxy-url": "http://proxy:3128",
        "certificate-authority-data": None,
        "disable-compression": True,
    }
    access = read(written(tmp_path, cluster=cluster))
    assert access.server == SERVER + "/k8s/clusters/c-1"
    assert (access.insecure, access.server_name, access.proxy) == (True, "kube.internal", "http://proxy:3128")


def test_impersonation(tmp_path: Path) -> None:
    user = {
        "token": "abc",
        "as": "system:serviceaccount:test:bot",
        "as-uid": "u-1",
        "as-groups": ["dev", "ops"],
        "as-user-extra": {"Acme.com/Project%": ["a", "b"]},
    }
    assert who(read(written(tmp_path, user=user))).headers == (
        ("Authorization", "Bearer abc"),
        ("Impersonate-User", "system:serviceaccount:test:bot"),
        ("Impersonate-Uid", "u-1"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Extra-acme.com%2Fproject%25", "a"),
        ("Impersonate-Extra-acme.com%2Fproject%25", "b"),
    )


def test_several_files_are_merged_and_the_first_wins(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "token").write_text("from b")
    a = written(tmp_path, name="a/config", users=[], contexts=[{"name": "x", "context": {"cluster": "c", "user": "u"}}])
    text = yaml.safe_load(a.read_text())
    text["current-context"] = "x"
    a.write_text(yaml.safe_dump(text))
    b = written(tmp_path, name="b/config", cluster={"server": "https://other"}, user={"tokenFile": "token"})
    access = read(f"{a}:{tmp_path / 'missing'}:{b}")
    assert access.server == SERVER
    assert who(access).headers == (("Authorization", "Bearer from b"),)


def test_master_takes_the_place_of_the_server(tmp_path: Path) -> None:
    access = read(written(tmp_path, user={"token": "abc"}), master="https://127.0.0.1:6443/")
    assert access.server == "https://127.0.0.1:6443"
    assert who(access).headers
    alone = load(master="127.0.0.1:8080")
    assert (alone.server, who(alone)) == ("http://127.0.0.1:8080", Identity())
    without_context = read(written(tmp_path, **{"current-context": ""}), master="https://m")
    assert without_context.server == "https://m"


def test_a_json_kubeconfig_is_yaml_too(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(json.dumps(yaml.safe_load(path.read_text())))
    assert read(path).server == SERVER


def test_secrets_do_not_show_in_representations(tmp_path: Path, pair: Pem) -> None:
    user = {"token": "s3cret", "client-certificate-data": b64(pair[0]), "client-key-data": b64(pair[1])}
    access = read(written(tmp_path, user=user))
    assert "s3cret" not in repr(access) + repr(who(access))
    assert "KEY" not in repr(who(access))


EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "command": "x", "interactiveMode": "Never"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cluster": {}}, "clusters[c].cluster.server: is not set; write the API server's URL"),
        ({"cluster": {"server": "ftp://x"}}, "clusters[c].cluster.server: 'ftp://x' is no URL of an API server"),
        ({"cluster": {"server": "https://x:99999"}}, "is no URL of an API server; write https://host:port"),
        ({"cluster": {"server": 7}}, "clusters[0].cluster.server: Expected str, got int"),
        (
            {"cluster": {"server": SERVER, "certificate-authority": "nope.pem"}},
            "clusters[c].cluster.certificate-authority: cannot read",
        ),
        (
            {"cluster": {"server": SERVER, "certificate-authority-data": "%%%"}},
            "clusters[c].cluster.certificate-authority-data: is not base64",
        ),
        (
            {"cluster": {"server": SERVER, "certificate-authority-data": b64(b"hello")}},
            "clusters[c].cluster.certificate-authority: the certificate authority is not PEM",
        ),
        (
            {"cluster": {"server": SERVER, "certificate-authority-data": b64(b"x"), "insecure-skip-tls-verify": True}},
            "insecure-skip-tls-verify: cannot be used together with a certificate authority",
        ),
        (
            {"cluster": {"server": SERVER, "proxy-url": "socks5://p:1080"}},
            "clusters[c].cluster.proxy-url: 'socks5://p:1080' cannot be used",
        ),
        ({"user": {"token": 123}}, "users[0].user.token: Expected str, got int"),
        ({"user": {"tokenFile": "nope"}}, "users[u].user.tokenFile: cannot read"),
        ({"user": {"token": "a", "username": "b"}}, "users[u].user.token: and username/password are both given"),
        ({"user": {"client-certificate-data": b64(b"x")}}, "users[u].user.client-key: is missing"),
        ({"user": {"client-key-data": b64(b"x")}}, "users[u].user.client-certificate: is missing"),
        (
            {"user": {"client-certificate-data": b64(b"x"), "client-key-data": b64(b"x")}},
            "users[u].user.client-certificate: the client certificate and its key cannot be used together",
        ),
        ({"user": {"auth-provider": {"name": "gcp"}}}, "users[u].user.auth-provider: is not supported"),
        ({"user": {"as-groups": ["a"]}}, "users[u].user.as: is needed when"),
        ({"user": {"exec": {**EXEC, "command": ""}}}, "users[u].user.exec.command: is not set"),
        (
            {"user": {"exec": {**EXEC, "apiVersion": "client.authentication.k8s.io/v1alpha1"}}},
            "users[u].user.exec.apiVersion: is 'client.authentication.k8s.io/v1alpha1'; update the plug-in",
        ),
        (
            {"user": {"exec": {**EXEC, "interactiveMode": "Always"}}},
            "interactiveMode: is Always, but there is nobody",
        ),
        ({"user": {"exec": {**EXEC, "interactiveMode": None}}}, "exec.interactiveMode: is required by"),
        ({"user": {"exec": {**EXEC, "interactiveMode": "Maybe"}}}, "exec.interactiveMode: is 'Maybe'"),
        (
            {"context": {"cluster": "zzz"}},
            "contexts[dev].context.cluster is 'zzz', which is not among the clusters",
        ),
        ({"context": {"user": "zzz"}}, "contexts[dev].context.user is 'zzz', which is not among the users (u)"),
        ({"context": {"cluster": ""}}, "contexts[dev].context.cluster is empty; name one of c"),
        ({"current-context": "zzz"}, "current-context is 'zzz', which is not among the contexts (dev)"),
        ({"current-context": ""}, "current-context is not set; choose one of the contexts (dev)"),
        ({"contexts": [{}]}, "contexts[0]: Object missing required field name"),
    ],
)
def test_a_mistake_is_named_with_file_field_and_fix(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = written(tmp_path, **change)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert words in caught.value.message
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [", "is no YAML in line"),
        (b"\xff\xfe\xff", "is no YAML"),
        (b"", "holds no mapping"),
        (b"- a\n", "holds no mapping"),
    ],
)
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "config"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert words in caught.value.message
    assert str(path) in caught.value.message


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "nope")
    with pytest.raises(ConfigError, match=r"none of .* exists: correct KUBECONFIG"):
        read(f"{tmp_path / 'a'}:{tmp_path / 'b'}")


def test_a_wrong_context_or_master_is_named() -> None:
    with pytest.raises(ConfigError, match="-master: 'ftp://x' is no URL"):
        load(master="ftp://x")


def test_people_get_the_variable_or_their_home(tmp_path: Path) -> None:
    assert default_kubeconfig({"KUBECONFIG": "a:b"}) == "a:b"
    assert default_kubeconfig({}).endswith("/.kube/config")


POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def account(tmp_path: Path, authority: Authority) -> Path:
    (tmp_path / "token").write_text("pod-token\n")
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    (tmp_path / "namespace").write_text("flagger-system")
    return tmp_path


def test_in_a_cluster(account: Path, authority: Authority) -> None:
    access = load(environ=POD, service_account=account)
    assert (access.server, access.ca, access.namespace) == ("https://10.96.0.1:443", authority.pem, "flagger-system")
    assert who(access).headers == (("Authorization", "Bearer pod-token"),)


def test_in_a_cluster_of_ipv6(account: Path) -> None:
    access = in_cluster(environ={**POD, "KUBERNETES_SERVICE_HOST": "fd00::1"}, folder=account)
    assert access.server == "https://[fd00::1]:443"


def test_the_pods_token_is_read_again_every_minute(account: Path) -> None:
    time = [0.0]
    access = in_cluster(environ=POD, folder=account, clock=lambda: time[0])
    assert who(access).headers == (("Authorization", "Bearer pod-token"),)
    (account / "token").write_text("rotated")
    time[0] = 60
    assert who(access).headers == (("Authorization", "Bearer rotated"),)


def test_outside_a_cluster_the_way_in_is_named(account: Path) -> None:
    with pytest.raises(ConfigError, match="this is no pod; outside a cluster, give a file with -kubeconfig"):
        load(environ={}, service_account=account)


@pytest.mark.parametrize("name", ["token", "ca.crt"])
def test_a_pod_without_its_service_account(account: Path, name: str) -> None:
    (account / name).unlink()
    with pytest.raises(ConfigError, match=rf"{name}: No such file.*automountServiceAccountToken"):
        in_cluster(environ=POD, folder=account)


def test_a_pod_with_a_broken_service_account(account: Path) -> None:
    (account / "token").write_text("")
    with pytest.raises(ConfigError, match="token is empty"):
        in_cluster(environ=POD, folder=account)
    (account / "token").write_text("t")
    (account / "ca.crt").write_text("hello")
    with pytest.raises(ConfigError, match=r"ca\.crt: the certificate authority is not PEM"):
        in_cluster(environ=POD, folder=account)


def test_a_token_that_vanishes_before_it_was_ever_read(account: Path) -> None:
    access = in_cluster(environ=POD, folder=account)
    (account / "token").unlink()
    with pytest.raises(Unauthorized, match=r"cannot read .*token"):
        who(access)
