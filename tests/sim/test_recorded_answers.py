"""The simulated server answers as a real one did, to every recorded request."""

from __future__ import annotations

from pathlib import Path

import pytest
from recording import RECORDED, Entry, answered, entries
from talk import server

from gradatim.sim.api import Request


@pytest.mark.asyncio
@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.jsonl")), ids=lambda path: path.stem)
async def test_the_answers_are_those_of_a_real_server(path: Path) -> None:
    api = server()

    async def simulated(entry: Entry, headers: dict[str, str], body: bytes) -> tuple[int, str, str]:
        answer = await api.handle(Request.to(entry["method"], entry["path"], body, **headers))
        return answer.status, answer.headers.get("Warning", ""), answer.body.decode()

    told = [await answered(entry, simulated) for entry in entries(path)]
    assert told == entries(path)
