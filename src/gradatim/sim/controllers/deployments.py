"""Deployments: make a ReplicaSet per pod template and move the pods over, within the limits of the strategy.

How many pods may move is worked out in `rollout`, what the status says in `progress`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from gradatim.ports.objects import DEPLOYMENT, Manifest, Ref
from gradatim.sim.builtin.catalogue import POD, REPLICA_SET
from gradatim.sim.controllers import progress, revisions
from gradatim.sim.controllers.belonging import (
    annotations_of,
    concerned_owners,
    condition,
    controller_ref,
    possessions,
    ref_of,
    set_status,
)
from gradatim.sim.controllers.rollout import (
    DESIRED,
    NO_DEADLINE,
    REVISION,
    counted,
    new_size,
    proportional,
    replicas_of,
    shrunk_old,
)
from gradatim.sim.history import DELETED, Event
from gradatim.sim.store import Store

DEFAULT_HISTORY = 10


class Rollout(msgspec.Struct, frozen=True):
    """A Deployment with its ReplicaSets; `new` carries the present template."""

    deployment: Manifest
    new: Manifest | None
    old: tuple[Manifest, ...]

    @property
    def every(self) -> list[Manifest]:
        """All ReplicaSets, the newest first."""
        return [*([self.new] if self.new else []), *self.old]


class Deployments:
    """The Deployment controller."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def everything(self) -> Iterable[Ref]:
        """All Deployments."""
        return [ref_of(DEPLOYMENT, obj) for obj in self.store.scan(DEPLOYMENT)]

    def concerned(self, event: Event) -> Iterator[Ref]:
        """A Deployment, the owner of a ReplicaSet, and for Recreate the owner's owner of a pod that is gone."""
        yield from concerned_owners(event, DEPLOYMENT, REPLICA_SET)
        if event.ref.resource.qualified == POD.qualified and event.type == DELETED:
            holder = controller_ref(event.object, REPLICA_SET)
            replica_set = self.store.peek(holder) if holder else None
            owner = controller_ref(replica_set, DEPLOYMENT) if replica_set else None
            if owner is not None:
                yield owner

    def sync(self, ref: Ref) -> float | None:
        """One step of a rollout, then the status."""
        deployment = self.store.peek(ref)
        if deployment is None:
            return None
        now = self._look(deployment)
        if "deletionTimestamp" in deployment["metadata"]:
            return self._report(now, rolling=False)
        if self._note_pause(now):
            return 0.0
        if deployment["spec"].get("paused"):
            return self._scale(self._with_revision(now))
        if self._was_scaled(now):
            return self._scale(self._with_revision(now))
        if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
            return self._recreate(now)
        return self._roll(self._with_new(now))

    # --- looking

    def _look(self, deployment: Manifest) -> Rollout:
        every = possessions(self.store, DEPLOYMENT, deployment, REPLICA_SET)
        new = revisions.newest(deployment, every)
        return Rollout(deployment, new, tuple(each for each in every if each is not new))

    def _again(self, rollout: Rollout) -> Rollout:
        """The same after some writes."""
        return self._look(self.store.get(ref_of(DEPLOYMENT, rollout.deployment)))

    def _was_scaled(self, rollout: Rollout) -> bool:
        """Did somebody change `spec.replicas` since the ReplicaSets were last scaled?"""
        wanted = str(replicas_of(rollout.deployment))
        active = [each for each in rollout.every if replicas_of(each) > 0]
        return any(annotations_of(each).get(DESIRED, wanted) != wanted for each in active)

    # --- the newest ReplicaSet

    def _with_new(self, rollout: Rollout) -> Rollout:
        """Make sure there is a ReplicaSet for the present template."""
        if rollout.new is not None:
            return self._with_revision(rollout)
        deployment = rollout.deployment
        revision = revisions.next_revision(rollout.old)
        made = revisions.replica_set_for(deployment, new_size(deployment, rollout.old, None), revision)
        name = made["metadata"]["name"]
        ref = Ref(REPLICA_SET, deployment["metadata"]["namespace"], name)
        if self.store.peek(ref) is not None:
            return self._collided(rollout)
        self.store.create(ref, made)
        self._announce(deployment, revision, "NewReplicaSetCreated", f'Created new replica set "{name}"')
        return self._again(rollout)

    def _collided(self, rollout: Rollout) -> Rollout:
        """Another template has the same hash: count it and try another name."""
        status = dict(rollout.deployment.get("status") or {})
        status["collisionCount"] = int(status.get("collisionCount") or 0) + 1
        set_status(self.store, ref_of(DEPLOYMENT, rollout.deployment), status)
        return self._with_new(self._again(rollout))

    def _with_revision(self, rollout: Rollout) -> Rollout:
        """Make sure the newest ReplicaSet carries the highest revision and what it inherits."""
        if rollout.new is None:
            return rollout
        deployment = rollout.deployment
        revision = max(revisions.next_revision(rollout.old), revisions.revision_of(rollout.new))
        annotations = revisions.wanted_annotations(deployment, rollout.new, revision)
        min_ready = int(deployment["spec"].get("minReadySeconds") or 0)
        spec = rollout.new["spec"]
        if annotations != annotations_of(rollout.new) or min_ready != int(spec.get("minReadySeconds") or 0):

            def inherit(obj: Manifest) -> None:
                obj["metadata"]["annotations"] = annotations
                obj["spec"]["minReadySeconds"] = min_ready

            self.store.mutate(ref_of(REPLICA_SET, rollout.new), inherit)
        if condition(deployment, "Progressing") is None:
            found = f'Found new replica set "{rollout.new["metadata"]["name"]}"'
            self._announce(deployment, revision, "FoundNewReplicaSet", found)
        elif revisions.revision_of(deployment) != revision:
            self._announce(deployment, revision)
        return self._again(rollout)

    def _announce(self, deployment: Manifest, revision: int, reason: str = "", message: str = "") -> None:
        """Note the revision, and perhaps what became of its ReplicaSet; as status, so it is no new generation."""

        def note(obj: Manifest) -> None:
            obj["metadata"].setdefault("annotations", {})[REVISION] = str(revision)
            # After a pause the real controller loses this announcement to a conflict with its own DeploymentResumed.
            resumed = (condition(obj, "Progressing") or {}).get("reason") == "DeploymentResumed"
            if reason and not resumed and progress.deadline_of(deployment) is not None:
                found = progress.Finding("Progressing", "True", reason, message)
                progress.set_condition(obj.setdefault("status", {}), found, self.store.now())

        self.store.mutate(ref_of(DEPLOYMENT, deployment), note, "status")

    # --- the strategies

    def _roll(self, rollout: Rollout) -> float | None:
        """One step of a rolling update: first up, then down."""
        assert rollout.new is not None  # noqa: S101 - `_with_new` has just made it
        deployment, every = rollout.deployment, rollout.every
        size = new_size(deployment, every, rollout.new)
        if replicas_of(rollout.new) > replicas_of(deployment):
            size = replicas_of(deployment)
        changed = self._resize(deployment, rollout.new, size)
        if not changed:
            sizes = shrunk_old(deployment, every, rollout.new)
            for each in rollout.old:
                if each["metadata"]["name"] in sizes:
                    changed |= self._resize(deployment, each, sizes[each["metadata"]["name"]])
        if not changed and progress.is_complete(deployment, self._counts(rollout)):
            self._forget_history(rollout)
        return self._report(self._again(rollout), rolling=True)

    def _recreate(self, rollout: Rollout) -> float | None:
        """First every old pod goes, then the new ones come."""
        deployment = rollout.deployment
        rollout = self._with_revision(rollout)
        going = [self._resize(deployment, each, 0) for each in rollout.old if replicas_of(each) > 0]
        if any(going) or self._old_pods(rollout):
            return self._report(self._again(rollout), rolling=True)
        rollout = self._with_new(rollout)
        if rollout.new is not None and not self._resize(deployment, rollout.new, replicas_of(deployment)):
            self._forget_history(rollout)
        return self._report(self._again(rollout), rolling=True)

    def _old_pods(self, rollout: Rollout) -> bool:
        """Does any pod of an old ReplicaSet still run or end?"""
        uids = {each["metadata"]["uid"] for each in rollout.old}
        pods = self.store.scan(POD, rollout.deployment["metadata"]["namespace"])
        return any(
            (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
            and any(owner["uid"] in uids for owner in pod["metadata"].get("ownerReferences") or ())
            for pod in pods
        )

    def _scale(self, rollout: Rollout) -> float | None:
        """Follow a changed `spec.replicas` without moving between templates."""
        deployment = rollout.deployment
        active = [each for each in rollout.every if replicas_of(each) > 0]
        if len(active) <= 1:
            latest = active[0] if active else rollout.new or max(rollout.old, key=revisions.revision_of, default=None)
            if latest is not None:
                self._resize(deployment, latest, replicas_of(deployment))
        elif self._is_saturated(rollout):
            for each in rollout.old:
                self._resize(deployment, each, 0)
        elif (deployment["spec"].get("strategy") or {}).get("type") != "Recreate":
            sizes = proportional(deployment, active)
            for each in active:
                self._resize(deployment, each, sizes[each["metadata"]["name"]])
        if deployment["spec"].get("paused"):
            self._forget_history(rollout)
        return self._report(self._again(rollout), rolling=False)

    def _is_saturated(self, rollout: Rollout) -> bool:
        wanted, new = replicas_of(rollout.deployment), rollout.new
        if new is None or annotations_of(new).get(DESIRED) != str(wanted):
            return False
        return replicas_of(new) == wanted == counted(new, "availableReplicas")

    def _resize(self, deployment: Manifest, replica_set: Manifest, size: int) -> bool:
        """Scale a ReplicaSet and note the Deployment's size in it; True if the size changed."""
        notes = revisions.size_annotations(deployment)
        changed = replicas_of(replica_set) != size
        if changed or any(annotations_of(replica_set).get(key) != value for key, value in notes.items()):

            def scale(obj: Manifest) -> None:
                obj["spec"]["replicas"] = size
                obj["metadata"].setdefault("annotations", {}).update(notes)

            self.store.mutate(ref_of(REPLICA_SET, replica_set), scale)
        return changed

    def _forget_history(self, rollout: Rollout) -> None:
        """Delete the oldest empty ReplicaSets beyond `revisionHistoryLimit`."""
        limit = rollout.deployment["spec"].get("revisionHistoryLimit")
        limit = DEFAULT_HISTORY if limit is None else int(limit)
        alive = [each for each in rollout.old if "deletionTimestamp" not in each["metadata"]]
        if limit >= NO_DEADLINE or len(alive) <= limit:
            return
        for each in sorted(alive, key=revisions.revision_of)[: len(alive) - limit]:
            if replicas_of(each) == 0 and counted(each, "replicas") == 0 and _observed(each):
                self.store.delete(ref_of(REPLICA_SET, each))

    # --- the status

    def _note_pause(self, rollout: Rollout) -> bool:
        status = dict(rollout.deployment.get("status") or {})
        if not progress.pause_condition(rollout.deployment, status, self.store.now()):
            return False
        set_status(self.store, ref_of(DEPLOYMENT, rollout.deployment), status)
        return True

    def _counts(self, rollout: Rollout) -> Manifest:
        return progress.counts(rollout.deployment, rollout.every, rollout.new)

    def _report(self, rollout: Rollout, *, rolling: bool) -> float | None:
        """Write the status; `rolling` is whether progress is expected now."""
        deployment, now = rollout.deployment, self.store.now()
        status = self._counts(rollout)
        progress.set_available(deployment, status, now)
        if rolling:
            progress.set_progressing(deployment, status, rollout.new, now)
        set_status(self.store, ref_of(DEPLOYMENT, deployment), status)
        return progress.next_check(deployment, status, now) if rolling else None


def _observed(obj: Manifest) -> bool:
    return counted(obj, "observedGeneration") >= int(obj["metadata"].get("generation") or 1)
