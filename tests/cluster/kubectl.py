"""A real kubectl, as users have it, at work in one namespace."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gradatim.ports.objects import Manifest

PROGRAM = Path(sys.executable).parent / "kubectl"
PATIENCE = 180.0


@dataclass(frozen=True)
class Said:
    """What it printed, and how it ended."""

    code: int
    out: str
    error: str


class Kubectl:
    """Reads one kubeconfig; caches what servers tell it about themselves in a folder beside that."""

    def __init__(self, config: Path, namespace: str) -> None:
        self._config, self._namespace = config, namespace

    async def ask(self, *arguments: str, given: str = "") -> Said:
        """Run it, with something on its standard input."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._command(arguments), stdin=pipe, stdout=pipe, stderr=pipe)
        out, error = await process.communicate(given.encode())
        return Said(process.returncode or 0, out.decode(), error.decode())

    async def __call__(self, *arguments: str, given: str = "") -> str:
        """What it prints; it must succeed."""
        said = await self.ask(*arguments, given=given)
        assert said.code == 0, f"kubectl {' '.join(arguments)}: {said.error}"
        return said.out

    async def json(self, *arguments: str) -> Manifest:
        """One object."""
        found: Manifest = json.loads(await self(*arguments, "-o", "json"))
        return found

    @asynccontextmanager
    async def reading(self, *arguments: str) -> AsyncIterator[AsyncIterator[str]]:
        """The lines that it prints while it goes on; it ends with the block."""
        process = await asyncio.create_subprocess_exec(*self._command(arguments), stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        try:
            yield _lines(process.stdout)
        finally:
            process.terminate()
            await process.communicate()

    def _command(self, arguments: Iterable[str]) -> tuple[str, ...]:
        where = (f"--kubeconfig={self._config}", f"--cache-dir={self._config}.cache", f"--namespace={self._namespace}")
        return (str(PROGRAM), *where, *arguments)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    async with asyncio.timeout(PATIENCE):
        async for line in stream:
            yield line.decode().rstrip()
