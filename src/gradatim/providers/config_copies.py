"""The primary's own copies of the ConfigMaps and Secrets that the target's pods use.

They keep a changed config from reaching users before it was analysed: the primary's pods refer to the copies, which
follow their sources at promotions only. What a copy held before the last promotion that changed it is kept beside it,
so that there is something to go back to. Where a pod template refers to configs is the part of `config_refs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradatim.core.revision import config_checksum
from gradatim.core.validation import LONGEST_NAME
from gradatim.ports.errors import Missing, ProviderError
from gradatim.ports.objects import SECRET, Manifest, Ref
from gradatim.ports.scene import Scene, Seen
from gradatim.providers.absence import get_error
from gradatim.providers.config_refs import ConfigRef, references
from gradatim.providers.manifests import (
    annotations_of,
    at,
    copy_of,
    included,
    items,
    labels_of,
    new_object,
    owner_reference,
    put,
    text,
)

_OPT_OUT = "flagger.app/config-tracking"
_SECRET_TYPES = ("Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls")
_CONTENT = ("data", "binaryData")


def config_reads(pod_spec: Manifest, namespace: str, seen: Seen) -> Iterator[Ref]:
    """The configs of a pod template, and the copies of those that turn out to be tracked."""
    for config in references(pod_spec):
        source = config.source(namespace)
        yield source
        found = seen.get(source)
        if found is not None and _tracked(config, found):
            yield config.copy(namespace)
            yield config.previous(namespace)


def tracked_configs(
    pod_spec: Manifest, namespace: str, seen: Seen, *, before: str, forgiving: bool = False
) -> dict[ConfigRef, Manifest]:
    """The configs of a pod template that are copied and watched: those that exist and did not opt out.

    Raises:
        Missing: one that the pods need is not there, unless `forgiving`; the message begins with `before`.
    """
    found: dict[ConfigRef, Manifest] = {}
    for config, needed in references(pod_spec).items():
        source = seen[config.source(namespace)]
        if source is None and needed and not forgiving:
            sentence = get_error(config.word, config.source(namespace))
            raise Missing(f"{before}{config.word} {config.name}.{namespace} get query error: {sentence}")
        if source is not None and _tracked(config, source):
            found[config] = source
    return found


def checksums(configs: Mapping[ConfigRef, Manifest]) -> dict[str, str]:
    """What `status.trackedConfigs` says about configs."""
    return {config.key: config_checksum(at(source, "data")) for config, source in configs.items()}


def copies(configs: Mapping[ConfigRef, Manifest], scene: Scene, seen: Seen, *, refresh: bool) -> Iterator[Manifest]:
    """The copies that must be written: missing ones, and with `refresh` those that differ from their sources.

    A copy whose content changes is preceded by one of what it held.
    """
    for config, source in sorted(configs.items(), key=lambda pair: pair[0]):
        live = seen[config.copy(scene.canary.namespace)]
        if live is None:
            yield _new_copy(config, source, scene)
        elif refresh and (wanted := _refreshed(config, source, live, scene)) != live:
            if _loses(live, wanted):
                yield from _kept(config, live, scene, seen)
            yield wanted


def _tracked(config: ConfigRef, source: Manifest) -> bool:
    if annotations_of(source).get(_OPT_OUT, "").startswith("disable"):
        return False
    return config.resource != SECRET or _secret_type(source) in _SECRET_TYPES


def _new_copy(config: ConfigRef, source: Manifest, scene: Scene) -> Manifest:
    canary = scene.canary
    labels = included(labels_of(source), scene.settings.include_label_prefix)
    copy = new_object(config.resource, canary.namespace, config.copy(canary.namespace).name, canary, labels=labels)
    return copy | {key: source[key] for key in (*_CONTENT, "immutable", "type") if source.get(key) is not None}


def _loses(live: Manifest, wanted: Manifest) -> bool:
    """Whether content is replaced; what is only added, as `binaryData` to a copy of Flagger's, loses nothing."""
    return any(live.get(key) and live[key] != wanted.get(key) for key in _CONTENT)


def _kept(config: ConfigRef, live: Manifest, scene: Scene, seen: Seen) -> Iterator[Manifest]:
    """What a copy holds, under the name for that; nothing where the API server would not take it."""
    ref = config.previous(scene.canary.namespace)
    there = seen[ref]
    if len(ref.name) > LONGEST_NAME:
        return
    if there is not None and (there.get("immutable") or _secret_type(there) != _secret_type(live)):
        return
    kept = copy_of(there) if there else new_object(config.resource, ref.namespace, ref.name, scene.canary)
    for key in (*_CONTENT, "type"):
        put(kept, live.get(key), key)
    yield kept


def _refreshed(config: ConfigRef, source: Manifest, live: Manifest, scene: Scene) -> Manifest:
    """The live copy with the content of its source; labels, annotations and owners of others stay."""
    _refuse_fixed(config, source, live, scene.canary.namespace)
    wanted = copy_of(live)
    for key in _CONTENT:
        put(wanted, source.get(key), key)
    if source.get("immutable"):
        wanted["immutable"] = True
    if labels := included(labels_of(source), scene.settings.include_label_prefix):
        put(wanted, labels_of(live) | labels, "metadata", "labels")
    put(wanted, _owners(live, scene), "metadata", "ownerReferences")
    return wanted


def _refuse_fixed(config: ConfigRef, source: Manifest, live: Manifest, namespace: str) -> None:
    """Refuse what the API server would: new content for an immutable object, another type for a Secret."""
    fixed = bool(live.get("immutable")) and any((source.get(key) or {}) != (live.get(key) or {}) for key in _CONTENT)
    if fixed or _secret_type(live) != _secret_type(source):
        name, what = config.copy(namespace).name, "immutable" if fixed else f"a Secret of type {_secret_type(live)}"
        raise ProviderError(
            f"{config.word} {name}.{namespace} is {what} and cannot follow {config.name}.{namespace}; "
            f"delete {name}, it is written anew at the next try"
        )


def _secret_type(config: Manifest) -> str:
    return text(config, "type") or "Opaque"


def _owners(live: Manifest, scene: Scene) -> list[Manifest]:
    """The owners of a copy with the Canary among them; another Canary that shares the copy keeps its reference."""
    ours = owner_reference(scene.canary)
    owners = items(live, "metadata", "ownerReferences")
    if any(owner.get("uid") == ours["uid"] for owner in owners):
        return owners
    return [ours, *({**owner, "controller": False} for owner in owners)]
