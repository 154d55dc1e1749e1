"""Write the pinned modules that the control plane is built from; run by hand when a version changes.

    python3 tests/cluster/controlplane/pin.py 1.37.2 3.6.16

`k8s.io/kubernetes` names its staging modules at the placeholder version `v0.0.0`, which no proxy serves. Each is
published at `v0.<minor>.<patch>`; this writes a `replace` for every one, then lets Go fill in the rest and the sums.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
KUBERNETES = ("k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kube-controller-manager")
ETCD = ("go.etcd.io/etcd/server/v3",)


def main(argv: list[str]) -> int:
    """Pin both modules at the versions given, without their leading `v`."""
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    kubernetes, etcd = argv
    pin("kubernetes", f"k8s.io/kubernetes@v{kubernetes}", KUBERNETES, staging(kubernetes))
    pin("etcd", f"go.etcd.io/etcd/server/v3@v{etcd}", ETCD, {})
    return 0


def staging(version: str) -> dict[str, str]:
    """Every module that Kubernetes' own go.mod lists at `v0.0.0`, with the version it is published at."""
    told = go(HERE, "mod", "download", "-json", f"k8s.io/kubernetes@v{version}")
    text = Path(json.loads(told)["GoMod"]).read_text()
    names = re.findall(r"^\s+(k8s\.io/\S+) v0\.0\.0$", text, re.MULTILINE)
    return dict.fromkeys(names, "v0." + version.partition(".")[2])


def pin(folder: str, module: str, programs: tuple[str, ...], replaced: dict[str, str]) -> None:
    """A go.mod with the programs as tools, so that Go itself keeps the list of what they need."""
    home = HERE / folder
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    name, _, version = module.partition("@")
    lines = [f"module gradatim.test/{folder}", "", "go 1.26.0", "", "tool ("]
    lines += [f"\t{program}" for program in programs] + [")", "", f"require {name} {version}", ""]
    if replaced:
        lines += ["replace (", *(f"\t{name} => {name} {at}" for name, at in sorted(replaced.items())), ")", ""]
    (home / "go.mod").write_text("\n".join(lines))
    go(home, "get", "-tool", *(f"{program}@{version}" for program in programs))
    # Listing the whole import graph makes Go note the sum of every module that the build reads.
    go(home, "list", "-mod=mod", "-deps", *programs)


def go(where: Path, *args: str) -> str:
    """Run Go and give what it printed."""
    return subprocess.run(["go", *args], cwd=where, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
