"""Starting, watching and ending local processes that a test session depends on."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_LAST_LINES = 25
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class Died(Exception):
    """A process ended although nobody asked it to; the message ends with its last words."""


class Process:
    """One local process with its output in a file."""

    def __init__(self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start processes from the main thread: they are killed when the thread that did ends")
        self.log = log
        self.name = Path(command[0]).name
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,  # an interrupt at the keyboard reaches the tests, which then end us in order
                preexec_fn=_end_with_parent if hasattr(_LIBC, "prctl") else None,  # noqa: PLW1509 - one system call
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal, None while it runs."""
        return self._popen.poll()

    def check(self) -> None:
        """Raise if it has ended."""
        if not self.running:
            raise Died(f"{self.name} ended with code {self.code}:\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of its output."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LAST_LINES:])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.running:
            self._popen.send_signal(number)

    def wait(self, seconds: float) -> int | None:
        """The exit code, or None if it still runs after so long."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it the hard way."""
        self.signal(signal.SIGKILL)
        self._popen.wait()

    def stop(self, grace: float) -> None:
        """Ask it to end; insist after `grace` seconds."""
        self.signal(signal.SIGTERM)
        if self.wait(grace) is None:
            self.kill()

    def usage(self) -> tuple[float, int]:
        """CPU seconds so far and resident bytes now."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return cpu, int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


def stop_all(processes: Sequence[Process], grace: float) -> None:
    """Ask all to end, in order; those still there after `grace` seconds together are killed."""
    deadline = time.monotonic() + grace
    for process in processes:
        process.signal(signal.SIGTERM)
    for process in processes:
        if process.wait(max(0.0, deadline - time.monotonic())) is None:
            process.kill()


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _end_with_parent() -> None:
    """In the child: be killed when the process that started us is, however it ends (Linux)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
