"""Pods as local processes, each on a loopback address of its own (Linux: all of 127.0.0.0/8 is there, unprivileged).

One task per pod starts its process, follows it, restarts it with growing pauses when it crashes, and ends it: first
the pod stops being ready, then SIGTERM, then, after the grace period, SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from gradatim.sim import pod_app
from gradatim.sim.pods.images import BY_TAG, Behaviour, behaviour_of
from gradatim.sim.pods.runner import PodOrder, PodState, Report

LOG_LINES = 1000
BACKOFF_FIRST, BACKOFF_MOST = 1.0, 30.0
"""Seconds before a crashed process is started again; doubled each time."""

STEADY = 10.0
"""A run this long (seconds) was no crash at start: the next pause is short again."""

DEFAULT_PORT = 8080

_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "TMPDIR")


class ProcessPods:
    """Runs every pod as a process of the demo application. `drain` is how long it serves on after SIGTERM."""

    def __init__(self, *, by_tag: Mapping[str, Behaviour] = BY_TAG, drain: float = 1.0) -> None:
        self.by_tag = by_tag
        self.drain = drain
        self._pods: dict[str, _Pod] = {}
        block = f"127.{32 + secrets.randbelow(200)}.{secrets.randbelow(250)}"
        second = int(block.rpartition(".")[2])
        self._addresses = (f"{block.rpartition('.')[0]}.{(second + n // 250) % 256}.{n % 250 + 2}" for n in count())

    def address(self) -> str:
        """A loopback address that nothing else here uses."""
        return next(self._addresses)

    def start(self, order: PodOrder, report: Report) -> None:
        """Start the pod's process."""
        pod = _Pod(self, order, report)
        self._pods[order.uid] = pod
        pod.task = asyncio.create_task(pod.live(), name=f"pod {order.namespace}/{order.name}")

    def listen(self, uid: str, ports: tuple[int, ...]) -> None:
        """Tell the process where to listen from now on."""
        pod = self._pods.get(uid)
        if pod is not None:
            pod.listen(ports)

    def stop(self, uid: str, grace: float) -> None:
        """End the process, politely for `grace` seconds."""
        pod = self._pods.get(uid)
        if pod is not None:
            pod.stop(grace)

    def logs(self, uid: str, tail: int | None = None) -> list[str]:
        """The last lines of the pod, also of its runs before."""
        pod = self._pods.get(uid)
        return pod.last_lines(tail) if pod is not None else []

    async def follow(self, uid: str, tail: int | None = None) -> AsyncIterator[str]:
        """The last lines, and every further one until the pod has ended."""
        pod = self._pods.get(uid)
        if pod is None:
            return
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        lines = pod.last_lines(tail)
        pod.followers.add(queue)
        try:
            for line in lines:
                yield line
            while (line_or_end := await queue.get()) is not None:
                yield line_or_end
        finally:
            pod.followers.discard(queue)

    def forget(self, uid: str) -> None:
        """A pod has ended."""
        self._pods.pop(uid, None)

    async def close(self) -> None:
        """End all processes now and wait for them."""
        tasks = [pod.task for pod in self._pods.values() if pod.task is not None]
        for uid in list(self._pods):
            self.stop(uid, 0.0)
        if tasks:
            await asyncio.wait(tasks)


def send_signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal a process that may just have ended.

    Not through `Process.send_signal`: that collects the exit status of an ended process itself, and asyncio, which
    waits for the same, then reports 255.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


class _Pod:
    def __init__(self, runner: ProcessPods, order: PodOrder, report: Report) -> None:
        self.runner = runner
        self.order = order
        self.ports = order.ports
        self.lines: deque[str] = deque(maxlen=LOG_LINES)
        self.followers: set[asyncio.Queue[str | None]] = set()
        self.task: asyncio.Task[None] | None = None
        self._report = report
        self._state = PodState(waiting="ContainerCreating")
        self._process: asyncio.subprocess.Process | None = None
        self._control: asyncio.StreamWriter | None = None
        self._stopping = asyncio.Event()
        self._kill: asyncio.TimerHandle | None = None

    def tell(self, **changes: Any) -> None:
        """Report a change."""
        self._state = msgspec.structs.replace(self._state, **changes)
        self._report(self._state)

    def last_lines(self, tail: int | None) -> list[str]:
        """The end of the log."""
        lines = list(self.lines)
        return lines if tail is None else lines[max(0, len(lines) - tail) :]

    def listen(self, ports: tuple[int, ...]) -> None:
        """Send the ports to the process."""
        self.ports = ports
        if self._control is not None:
            self._control.write(json.dumps({"listen": ports or (DEFAULT_PORT,)}).encode() + b"\n")

    def stop(self, grace: float) -> None:
        """Not ready from now on; SIGTERM, and SIGKILL after the grace period. May be called again with less."""
        self._stopping.set()
        if self._state.ready:
            self.tell(ready=False)
        if grace > 0:
            self._signal(signal.SIGTERM)
            if self._kill is not None:
                self._kill.cancel()
            self._kill = asyncio.get_running_loop().call_later(grace, self._signal, signal.SIGKILL)
        else:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            send_signal(self._process, number)

    async def live(self) -> None:
        """Run the process again and again until the pod is stopped."""
        loop, pause = asyncio.get_running_loop(), BACKOFF_FIRST
        try:
            while not self._stopping.is_set():
                began = loop.time()
                code = await self._run_once()
                if self._stopping.is_set():
                    break
                pause = BACKOFF_FIRST if loop.time() - began > STEADY else pause
                message = f"back-off {pause:.0f}s restarting failed container"
                self.tell(running=False, ready=False, waiting="CrashLoopBackOff", message=message, exit_code=code)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stopping.wait()
                pause = min(pause * 2, BACKOFF_MOST)
                self._state = msgspec.structs.replace(self._state, restarts=self._state.restarts + 1)
        finally:
            if self._kill is not None:
                self._kill.cancel()
            self.runner.forget(self.order.uid)
            for follower in self.followers:
                follower.put_nowait(None)
            self.tell(running=False, ready=False, stopped=True, waiting="", message="")

    async def _run_once(self) -> int:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._arguments(theirs.fileno()),
                env=self._environment(),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is for the playground, which ends its pods itself
            )
        if self._stopping.is_set():  # asked to stop while the process was being made
            self._signal(signal.SIGKILL)
        reader, self._control = await asyncio.open_connection(sock=ours)
        try:
            self.tell(running=True, waiting="", message="")
            if not self._behaviour().broken:
                self.listen(self.ports)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read_answers(reader))
                group.create_task(self._read_log(process))
            return await process.wait()
        finally:
            self._control.close()
            self._control = None
            self._state = msgspec.structs.replace(self._state, exit_code=process.returncode)

    def _behaviour(self) -> Behaviour:
        return behaviour_of(self.order.images[0], self.runner.by_tag)

    def _arguments(self, control: int) -> list[str]:
        behaviour = self._behaviour()
        config = {
            "name": self.order.name,
            "namespace": self.order.namespace,
            "address": self.order.address,
            "version": behaviour.version,
            "errors": behaviour.errors,
            "delay": behaviour.delay,
            "crash": behaviour.crashes,
            "broken": behaviour.broken,
            "drain": self.runner.drain,
        }
        return [sys.executable, "-I", "-S", str(Path(pod_app.__file__)), json.dumps(config), str(control)]

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {**inherited, **dict(self.order.environment), "HOSTNAME": self.order.name}

    async def _read_answers(self, reader: asyncio.StreamReader) -> None:
        """The process says where it listens, or why it cannot."""
        with contextlib.suppress(ConnectionError):  # its end closes with the process
            while line := await reader.readline():
                answer = msgspec.json.decode(line)
                if self._stopping.is_set():
                    continue
                if "failed" in answer:
                    self.tell(ready=False, message=answer["failed"])
                elif not self._state.ready:
                    self.tell(ready=True, message="")

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is not None:
            while line := await process.stdout.readline():
                text = line.decode(errors="replace").rstrip("\n")
                self.lines.append(text)
                for follower in self.followers:
                    follower.put_nowait(text)
