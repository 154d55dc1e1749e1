"""The kubeconfig file as it is written: its forms, reading, and merging.

Several files, as in KUBECONFIG, are merged like kubectl does: whatever a file names first, stays; paths inside a file
are relative to it. What the fields mean is `kubeconfig_access.py`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from gradatim.kube.errors import ConfigError

T = TypeVar("T")


class Extension(msgspec.Struct, frozen=True):
    name: str = ""
    extension: Any = None


class Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    extensions: tuple[Extension, ...] = ()


class EnvVar(msgspec.Struct, frozen=True):
    name: str
    value: str = ""


class ExecConfig(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str = ""
    command: str = ""
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    install_hint: str = ""
    interactive_mode: str = ""
    provide_cluster_info: bool = False


class User(msgspec.Struct, frozen=True, rename="kebab"):
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    password: str = ""
    as_user: str = msgspec.field(default="", name="as")
    as_uid: str = ""
    as_groups: tuple[str, ...] = ()
    as_user_extra: dict[str, tuple[str, ...]] = {}
    exec: ExecConfig | None = None
    auth_provider: Any = None

    def __repr__(self) -> str:
        return "User(…)"  # passwords, tokens and keys have no business in logs


class Context(msgspec.Struct, frozen=True):
    cluster: str = ""
    user: str = ""
    namespace: str = ""


class NamedCluster(msgspec.Struct, frozen=True):
    name: str
    cluster: Cluster = Cluster()


class NamedUser(msgspec.Struct, frozen=True):
    name: str
    user: User = User()


class NamedContext(msgspec.Struct, frozen=True):
    name: str
    context: Context = Context()


class File(msgspec.Struct, frozen=True, rename="kebab"):
    """One kubeconfig as it is written."""

    current_context: str = ""
    clusters: tuple[NamedCluster, ...] = ()
    users: tuple[NamedUser, ...] = ()
    contexts: tuple[NamedContext, ...] = ()


class Place(msgspec.Struct, frozen=True):
    """Where something is written, for error messages, and in which file, for relative paths."""

    words: str
    file: Path

    def wrong(self, field: str, what: str) -> ConfigError:
        """The error for a field here."""
        return ConfigError(f"{self.words}.{field}: {what}")

    def path(self, name: str) -> Path:
        """A path written here."""
        return self.file.parent / Path(name).expanduser()


class Chosen(msgspec.Struct, frozen=True):
    """What one context means."""

    cluster: Cluster
    cluster_place: Place
    user: User
    user_place: Place
    namespace: str


class Kubeconfig:
    """One or several files as one. Each entry remembers its file, for its paths and for error messages."""

    def __init__(self, files: Sequence[tuple[Path, File]]) -> None:
        self.files = ", ".join(str(path) for path, _ in files)
        self.current = next(((path, file.current_context) for path, file in files if file.current_context), None)
        self.clusters: dict[str, tuple[Path, Cluster]] = {}
        self.users: dict[str, tuple[Path, User]] = {}
        self.contexts: dict[str, tuple[Path, Context]] = {}
        for path, file in files:
            for cluster in file.clusters:
                self.clusters.setdefault(cluster.name, (path, cluster.cluster))
            for user in file.users:
                self.users.setdefault(user.name, (path, user.user))
            for context in file.contexts:
                self.contexts.setdefault(context.name, (path, context.context))

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Kubeconfig:
        """Read the files; of several, those that do not exist are passed over."""
        found = [(path, _read(path)) for path in paths if len(paths) == 1 or path.exists()]
        if not found:
            raise ConfigError(f"none of {', '.join(map(str, paths)) or 'no files'} exists: correct KUBECONFIG")
        return cls(found)

    def choose(self, context: str = "", master: str = "") -> Chosen:
        """The cluster and the user of a context, the current one if none is named.

        With `master`, the URL of an API server, neither context nor cluster are needed.
        """
        where, chosen = self._context(context, master)
        cluster_file, cluster = _entry(self.clusters, "clusters", chosen.cluster, f"{where}.cluster", Cluster())
        user_file, user = _entry(self.users, "users", chosen.user, f"{where}.user", User())
        return Chosen(
            cluster=cluster,
            cluster_place=Place(f"{cluster_file}: clusters[{chosen.cluster}].cluster", cluster_file),
            user=user,
            user_place=Place(f"{user_file}: users[{chosen.user}].user", user_file),
            namespace=chosen.namespace or "default",
        )

    def _context(self, name: str, master: str) -> tuple[str, Context]:
        known = ", ".join(self.contexts) or "none"
        where = "the context asked for"
        if not name and self.current is not None:
            file, name = self.current
            where = f"{file}: current-context"
        if not name and master:
            return self.files, Context()
        if not name:
            raise ConfigError(
                f"{self.files}: current-context is not set; choose one of the contexts ({known}) "
                "with `kubectl config use-context`"
            )
        if name not in self.contexts:
            raise ConfigError(f"{where} is {name!r}, which is not among the contexts ({known}) of {self.files}")
        file, context = self.contexts[name]
        if not context.cluster and not master:
            raise ConfigError(f"{file}: contexts[{name}].context.cluster is empty; name one of {_known(self.clusters)}")
        return f"{file}: contexts[{name}].context", context


def _entry(entries: Mapping[str, tuple[Path, T]], kind: str, name: str, field: str, none: T) -> tuple[Path, T]:
    if name in entries:
        return entries[name]
    if not name:
        return Path(), none
    raise ConfigError(f"{field} is {name!r}, which is not among the {kind} ({_known(entries)}); add it or correct it")


def _read(path: Path) -> File:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give the path of a kubeconfig") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}: is no YAML{line}; is this a kubeconfig?") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds no mapping of clusters, users and contexts; is this a kubeconfig?")
    try:
        return msgspec.convert(_without_nulls(content), type=File)
    except msgspec.ValidationError as error:
        what, _, field = str(error).partition(" - at ")
        raise ConfigError(
            f"{path}: {field.strip('`').removeprefix('$.') or 'content'}: {what.replace('`', '')}"
        ) from error


def _without_nulls(value: Any) -> Any:
    """Go writes and reads `null` as nothing."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _known(entries: Mapping[str, object]) -> str:
    return ", ".join(entries) or "none"
