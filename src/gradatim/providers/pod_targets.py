"""Targets that own pods: what Deployments and DaemonSets do alike.

The primary is the target once more, under another name, with one label changed and with its own configs. What differs
between the kinds (how to scale, when it is ready, which fields its spec has) is the part of the workload providers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import msgspec

from gradatim.api.canary import Canary
from gradatim.core.names import primary_workload
from gradatim.core.revision import revision
from gradatim.core.settings import Settings
from gradatim.core.validation import LONGEST_LABEL
from gradatim.ports.errors import Missing, UnexpectedObject
from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.ports.scene import Scene, Seen
from gradatim.ports.workload import Facts
from gradatim.providers import promoted
from gradatim.providers.absence import required
from gradatim.providers.config_copies import checksums, config_reads, copies, tracked_configs
from gradatim.providers.config_refs import ConfigRef, with_copies
from gradatim.providers.manifests import (
    LAST_APPLIED,
    annotations_of,
    copy_of,
    included,
    labels_of,
    mapping,
    new_object,
    put,
    without_toolkit,
)
from gradatim.providers.ports_discovery import discovered_ports

Placing: TypeAlias = Callable[[Manifest, Scene, Mapping[str, str]], Manifest]

ROLLOUT_ID = "flagger-id"
# Annotations that describe the object they stand on and would lie about a copy.
_DESCRIBING = (LAST_APPLIED, "deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation")


def _same(template: Manifest) -> Manifest:
    return template


def _anywhere(pod_spec: Manifest, _scene: Scene, _pod_labels: Mapping[str, str]) -> Manifest:
    return pod_spec


class PodTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of target that owns pods."""

    resource: Resource
    own_fields: frozenset[str]
    """Fields of `spec` that are not the target's to give to the primary."""
    plain: Callable[[Manifest], Manifest] = _same
    """A pod template as the user meant it, without what we put there."""
    placed: Placing = _anywhere
    """A pod spec with scheduling rules that fit pods with other labels."""
    label_error_end: str = ""

    @property
    def word(self) -> str:
        """The kind in messages."""
        return self.resource.kind.lower()

    def target(self, canary: Canary) -> Ref:
        """The name of the target."""
        return Ref(self.resource, canary.namespace, canary.target)

    def primary(self, canary: Canary) -> Ref:
        """The name of its copy."""
        return Ref(self.resource, canary.namespace, primary_workload(canary))

    def reads(self, canary: Canary, settings: Settings, seen: Seen) -> Iterator[Ref]:
        """Target, primary, the configs of the target and the copies of tracked ones."""
        yield self.target(canary)
        yield self.primary(canary)
        target = seen.get(self.target(canary))
        if target is None:
            return
        template = self.template(target)
        yield from self._config_reads(template, canary, settings, seen)
        if self.primary(canary) in seen and seen[self.primary(canary)] is None:
            for ref in promoted.needed(canary, template):
                yield ref
                if found := seen.get(ref):
                    yield from self._config_reads(promoted.content(found), canary, settings, seen)

    def _config_reads(self, template: Manifest, canary: Canary, settings: Settings, seen: Seen) -> Iterator[Ref]:
        if settings.config_tracking:
            yield from config_reads(mapping(template, "spec"), canary.namespace, seen)

    def found(self, canary: Canary, seen: Seen) -> Manifest:
        """The target; raises Missing."""
        return required(seen, self.target(canary), self.word)

    def template(self, workload: Manifest) -> Manifest:
        """The pod template of a target, as the user meant it."""
        template = mapping(workload, "spec", "template")
        return self.plain(template | {"spec": mapping(template, "spec")})

    def facts(self, canary: Canary, settings: Settings, seen: Seen, *, running: bool) -> Facts:
        """What the target says about itself; a config that its pods lack holds up all but the Canary's deletion."""
        target = self.found(canary, seen)
        template = self.template(target)
        label, value = self._selector_label(target, settings)
        before = self._creating if seen[self.primary(canary)] is None else ""
        configs, lacking = dict[ConfigRef, Manifest](), ""
        try:
            configs = self._configs(canary, settings, template, seen, before=before)
        except Missing as error:
            lacking = error.message
        return Facts(
            label=label,
            value=value,
            ports=discovered_ports(template["spec"], canary.spec.service),
            revision=revision(template),
            configs=checksums(configs) if settings.config_tracking else None,
            running=running,
            lacking=lacking,
        )

    def create(self, scene: Scene, seen: Seen, token: str, own: Manifest) -> tuple[Manifest, ...]:
        """Config copies and the primary with its `own` fields, when it is missing.

        What was promoted comes back as it was; copies of configs stay, since their sources may have changed.
        """
        canary = scene.canary
        if seen[self.primary(canary)] is not None:
            return ()
        target = self.found(canary, seen)
        template = promoted.comes_back_as(canary, self.template(target), seen, self.word)
        configs = self._configs(canary, scene.settings, template, seen, before=self._creating)
        primary = new_object(
            self.resource,
            canary.namespace,
            primary_workload(canary),
            canary,
            labels=self._labels(target, scene),
            annotations=_annotations(target),
        )
        primary["spec"] = {
            **{field: value for field, value in copy_of(target["spec"]).items() if field not in self.own_fields},
            "selector": {"matchLabels": {scene.label: f"{scene.value}-primary"}},
            "template": self._primary_template(template, scene, configs, token),
            **own,
        }
        return (*copies(configs, scene, seen, refresh=not canary.status.last_promoted_spec), primary)

    def promote(self, scene: Scene, seen: Seen, token: str, own: Manifest) -> tuple[Manifest, ...]:
        """Config copies and the primary with the target's template and with its `own` fields."""
        canary = scene.canary
        primary = self.primary(canary)
        before = f"updating {self.word} {primary.name}.{primary.namespace} template spec failed: "
        target = required(seen, self.target(canary), self.word, before)
        wanted = copy_of(required(seen, primary, self.word, before))
        template = self.template(target)
        configs = self._configs(canary, scene.settings, template, seen, before=before)
        put(wanted, labels_of(wanted) | self._labels(target, scene), "metadata", "labels")
        put(wanted, (annotations_of(wanted) | _annotations(target)) or None, "metadata", "annotations")
        spec = copy_of(target["spec"])
        for field in (spec.keys() | wanted["spec"].keys()) - self.own_fields:
            put(wanted, spec.get(field), "spec", field)
        wanted["spec"] |= {"template": self._primary_template(template, scene, configs, token), **own}
        return (*copies(configs, scene, seen, refresh=True), wanted)

    def keeping(self, canary: Canary, seen: Seen) -> Manifest:
        """The object that keeps the target's pod template."""
        return promoted.keeping(canary, self.template(self.found(canary, seen)))

    @property
    def _creating(self) -> str:
        return f"createPrimary{self.resource.kind} failed: "

    def _selector_label(self, target: Manifest, settings: Settings) -> tuple[str, str]:
        labels = mapping(target, "spec", "selector", "matchLabels")
        name, namespace = target["metadata"]["name"], target["metadata"]["namespace"]
        for key in settings.selector_labels:
            if key in labels:
                self._fits(f"{name}.{namespace}", key, labels[key])
                return key, labels[key]
        raise UnexpectedObject(
            f"getSelectorLabel failed: {self.word} {name}.{namespace} spec.selector.matchLabels "
            f"must contain one of [{' '.join(settings.selector_labels)}]{self.label_error_end}",
            "add one of them, or name another one with -selector-labels",
        )

    def _fits(self, place: str, key: str, value: str) -> None:
        """Refuse a label whose value leaves no room for that of the primary's pods."""
        longest = f"{value}-primary"
        if len(longest) > LONGEST_LABEL:
            raise UnexpectedObject(
                f"{self.word} {place} has the label {key}={value}: that of the primary's pods, {longest}, would have "
                f"{len(longest)} characters, at most {LONGEST_LABEL} are possible",
                "give it a shorter value",
            )

    def _configs(
        self, canary: Canary, settings: Settings, template: Manifest, seen: Seen, *, before: str
    ) -> dict[ConfigRef, Manifest]:
        if not settings.config_tracking:
            return {}
        before += "GetTargetConfigs failed: "
        return tracked_configs(template["spec"], canary.namespace, seen, before=before, forgiving=canary.deleted)

    def _labels(self, target: Manifest, scene: Scene) -> dict[str, str]:
        return included(labels_of(target), scene.settings.include_label_prefix) | _primary_label(scene)

    def _primary_template(
        self, template: Manifest, scene: Scene, configs: Mapping[ConfigRef, Manifest], token: str
    ) -> Manifest:
        labels = without_toolkit(labels_of(template)) | _primary_label(scene)
        annotations = without_toolkit(annotations_of(template)) | {ROLLOUT_ID: token}
        metadata = copy_of(mapping(template, "metadata")) | {"labels": labels, "annotations": annotations}
        metadata.pop("creationTimestamp", None)  # older API servers say null here
        spec = self.placed(with_copies(template["spec"], configs), scene, labels)
        return copy_of(template) | {"metadata": metadata, "spec": spec}


def _primary_label(scene: Scene) -> dict[str, str]:
    return {scene.label: f"{scene.value}-primary"}


def _annotations(target: Manifest) -> dict[str, str]:
    """The annotations that a copy of the target gets."""
    kept = without_toolkit(annotations_of(target))
    return {key: value for key, value in kept.items() if key not in _DESCRIBING}
