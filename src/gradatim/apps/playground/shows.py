"""Showing a journal: a live screen on a terminal, lines anywhere else, and a picture on request."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from gradatim.apps.playground import view
from gradatim.apps.playground.journal import Journal

REFRESH = 0.25
"""Seconds between two screens."""


class Show:
    """Shows the journal while something runs."""

    def __init__(self, journal: Journal, *, plain: bool, picture: str | None) -> None:
        self._journal = journal
        self._console = Console(highlight=False)
        self._live = self._console.is_terminal and not plain
        self._picture = Path(picture) if picture else None
        self._best = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Show until the block ends."""
        task = asyncio.create_task(self._screen() if self._live else self._lines())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if not self._live:
                self._print_fresh()

    def summary(self, outcomes: list[tuple[str, bool]], mesh: str) -> bool:
        """Say how it went; whether all went as it should."""
        view.summary(self._console, self._journal, outcomes, mesh)
        sys.stdout.flush()
        return all(right for _, right in outcomes) and self._journal.lost == 0

    async def _screen(self) -> None:
        with Live(view.screen(self._journal), console=self._console, auto_refresh=False, screen=False) as live:
            while True:
                self._journal.sample()
                live.update(view.screen(self._journal), refresh=True)
                self._draw()
                await asyncio.sleep(REFRESH)

    async def _lines(self) -> None:
        while True:
            self._journal.sample()
            self._print_fresh()
            self._draw()
            await asyncio.sleep(REFRESH)

    def _print_fresh(self) -> None:
        while self._journal.fresh:
            self._console.print(view.line_text(self._journal.fresh.popleft()), soft_wrap=True)

    def _draw(self) -> None:
        """Keep the picture of the moment with the most to see: two versions answering, checks with values."""
        if self._picture is None:
            return
        canary = self._journal.canary
        shares = sorted(self._journal.shares.values())
        split = shares[0] if len(shares) > 1 else 0.0
        worth = split + (len(canary.status.checks) if canary is not None else 0) + len(self._journal.total.versions) * 2
        if worth <= self._best:
            return
        self._best = worth
        console = Console(record=True, width=112, file=io.StringIO())
        console.print(view.screen(self._journal))
        self._picture.write_text(console.export_svg(title="gradatim playground"))
