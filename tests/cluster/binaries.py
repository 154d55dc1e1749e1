"""Where the control plane's programs come from: `KUBEBUILDER_ASSETS`, a cache, or Go.

Building takes some minutes once per pinned version, so it says what it does; run this file to do it ahead of the tests.
The pinned modules are in `controlplane/`; starting the programs is `control_plane`'s affair.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")
PINNED = Path(__file__).resolve().parent / "controlplane"
ETCD = "go.etcd.io/etcd/server/v3"
KUBERNETES = ("k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kube-controller-manager")

Say = Callable[[str], None]


class NotAtHand(Exception):
    """This machine has no control plane and cannot build one; the message says what to install."""


def find(say: Say | None = None) -> Path:
    """The folder with the three programs, built first if need be."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        return _given(Path(assets))
    folder = cache() / f"controlplane-{key()}"
    if _complete(folder):
        return folder
    if shutil.which("go") is None:
        raise NotAtHand(
            "there is no real Kubernetes control plane: set KUBEBUILDER_ASSETS to a folder with "
            f"{', '.join(PROGRAMS)}, or install Go 1.26 or newer to have them built once into {folder}"
        )
    with _locked(folder.parent / f"{folder.name}.lock", say or _to_stderr):
        if not _complete(folder):
            _build(folder, say or _to_stderr)
    return folder


def version(module: str) -> str:
    """The pinned version of `etcd` or `kubernetes`, such as `v1.37.2`."""
    name = ETCD if module == "etcd" else "k8s.io/kubernetes"
    found = re.search(rf"\b{re.escape(name)} (v\S+)", (PINNED / module / "go.mod").read_text())
    if not found:
        raise NotAtHand(f"{PINNED / module / 'go.mod'} does not pin {name}")
    return found[1]


def cache() -> Path:
    """The project's cache folder."""
    return Path(os.environ.get("GRADATIM_CACHE") or Path.home() / ".cache" / "gradatim")


def key() -> str:
    """Names one build: version, machine and everything the pinned modules say."""
    pinned = [PINNED / module / name for module in ("etcd", "kubernetes") for name in ("go.mod", "go.sum")]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in pinned))
    digest.update(f"{platform.system()}/{platform.machine()}".encode())
    return f"{version('kubernetes')}-{digest.hexdigest()[:12]}"


def _given(folder: Path) -> Path:
    missing = [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        raise NotAtHand(f"KUBEBUILDER_ASSETS={folder} lacks {', '.join(missing)}")
    return folder


def _complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in PROGRAMS)


def _build(folder: Path, say: Say) -> None:
    """Build into a folder beside the wanted one and rename it, so that no half-built folder is ever found."""
    began = time.monotonic()
    say(f"Building the control plane into {folder} (once; about 7 minutes of two cores, 1.1 GB of Go modules) …")
    fresh = Path(tempfile.mkdtemp(prefix=folder.name + ".", dir=folder.parent))
    try:
        _go_build("etcd", (ETCD,), fresh / "etcd", "", say)
        _go_build("kubernetes", KUBERNETES, fresh, _stamp(), say)
        fresh.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    say(f"Built the control plane in {time.monotonic() - began:.0f} s.")


def _stamp() -> str:
    """Linker flags that tell the programs their own version; without them they call themselves v0.0.0."""
    tag = version("kubernetes")
    major, minor, _ = tag.removeprefix("v").split(".", 2)
    names = {"gitVersion": tag, "gitMajor": major, "gitMinor": minor}
    return "".join(f" -X k8s.io/component-base/version.{name}={value}" for name, value in names.items())


def _go_build(module: str, packages: tuple[str, ...], out: Path, stamp: str, say: Say) -> None:
    where, build = PINNED / module, ["-mod=readonly", "-trimpath"]
    listed = subprocess.run(
        ["go", "list", "-mod=readonly", "-deps", *packages], cwd=where, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        raise NotAtHand(f"Go could not fetch the modules of {module}:\n{listed.stderr[-2000:]}")
    total = listed.stdout.count("\n")
    command = ["go", "build", "-v", *build, "-p", "2", "-ldflags", f"-s -w{stamp}", "-o", str(out), *packages]
    tail = _watched(command, where, lambda done: say(f"  {module}: {done} of at most {total} packages compiled"))
    if tail:
        raise NotAtHand(f"Go could not build {module} {version(module)}:\n{tail}")


def _watched(command: list[str], where: Path, say: Callable[[int], None]) -> str:
    """Run a build at low priority, telling how many packages it has compiled; its last words if it fails."""
    done, told, lines = 0, time.monotonic(), list[str]()
    with subprocess.Popen(["nice", *command], cwd=where, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            lines.append(line)
            done += 1
            if time.monotonic() - told > 15:
                told = time.monotonic()
                say(done)
    return "".join(lines[-30:]) if process.returncode else ""


@contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    """Hold a lock between processes; it ends with the process, whatever happens to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another process is building the control plane; waiting for it …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _to_stderr(line: str, to: TextIO = sys.stderr) -> None:
    print(line, file=to, flush=True)


if __name__ == "__main__":
    try:
        print(find())
    except NotAtHand as error:
        sys.exit(f"{error}.")
