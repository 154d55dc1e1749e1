"""Custom resource definitions: other systems' own, taken from their Go modules, and ours, from the package.

Other people's definitions are never copied into the repository. The versions are pinned here; what was fetched once is
kept in the cache folder, so that Go is needed only the first time.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import yaml

from cluster.binaries import NotAtHand, cache
from cluster.client import CRD, Client
from cluster.namespaces import until
from gradatim.ports.objects import Manifest

OURS = Path(__file__).resolve().parents[2] / "src" / "gradatim" / "api" / "crds"


@dataclass(frozen=True)
class Source:
    """Where a system keeps its definitions."""

    module: str
    version: str
    files: tuple[str, ...]


SYSTEMS: Mapping[str, Source] = MappingProxyType(
    {
        # The version that the Traefik of the playground is built with.
        "gatewayapi": Source("sigs.k8s.io/gateway-api", "v1.6.3", ("config/crd/standard/*.yaml",)),
        # The newest 3.7 that the Go module proxy serves.
        "traefik": Source(
            "github.com/traefik/traefik/v3",
            "v3.7.13",
            ("docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml",),
        ),
        "keda": Source("github.com/kedacore/keda/v2", "v2.21.0", ("config/crd/bases/keda.sh_*.yaml",)),
        "knative": Source(
            "knative.dev/serving",
            "v0.51.0",
            ("config/core/300-resources/service.yaml", "config/core/300-resources/revision.yaml"),
        ),
    }
)


def definitions(system: str) -> list[Manifest]:
    """The definitions of one system, fetched once."""
    source = SYSTEMS[system]
    kept = cache() / f"crds-{system}-{source.version}.yaml"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump_all(_fetch(source))
        fresh = kept.with_suffix(".part")
        fresh.write_text(text)
        fresh.rename(kept)
    return list(yaml.load_all(kept.read_text(), _LOADER))


def ours() -> list[Manifest]:
    """The product's own definitions; none until they are there."""
    return list(_read(sorted(OURS.glob("*.yaml"))))


async def install(client: Client, wanted: Iterable[Manifest]) -> None:
    """Apply definitions and wait until their objects are served and structural."""
    manifests = list(wanted)
    await asyncio.gather(*(_put(client, manifest) for manifest in manifests))
    for name in [manifest["metadata"]["name"] for manifest in manifests]:
        await until(partial(_served, client, name), f"{name} served")


async def _put(client: Client, manifest: Manifest) -> None:
    if await client.find(CRD, "", manifest["metadata"]["name"]):
        await client.merge(CRD, "", manifest["metadata"]["name"], manifest)
    else:
        await client.create(CRD, "", manifest)


async def _served(client: Client, name: str) -> bool:
    definition = await client.get(CRD, "", name)
    conditions = {one["type"]: one for one in definition.get("status", {}).get("conditions") or ()}
    broken = conditions.get("NonStructuralSchema")
    if broken and broken["status"] == "True":
        raise AssertionError(f"{name} is not structural: {broken['message']}")
    if conditions.get("Established", {}).get("status") != "True":
        return False
    # Established precedes serving by a moment; discovery follows the handlers.
    spec = definition["spec"]
    served = [version["name"] for version in spec["versions"] if version["served"]]
    where = [f"/apis/{spec['group']}/{version}/{spec['names']['plural']}" for version in served]
    return all([(await client.ask("GET", one, params={"limit": 1})).ok for one in where])


def _fetch(source: Source) -> Iterable[Manifest]:
    if shutil.which("go") is None:
        raise NotAtHand(f"fetching the definitions of {source.module} {source.version} needs Go, once")
    command = ["go", "mod", "download", "-json", f"{source.module}@{source.version}"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout or "{}")
    if "Dir" not in told:
        raise NotAtHand(f"Go could not download {source.module} {source.version}: {told.get('Error', 'no answer')}")
    return _read(file for pattern in source.files for file in sorted(Path(told["Dir"]).glob(pattern)))


def _read(files: Iterable[Path]) -> Iterable[Manifest]:
    for file in files:
        for manifest in yaml.load_all(file.read_text(), _LOADER):
            if manifest and manifest["kind"] == "CustomResourceDefinition":
                yield manifest


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
