"""Requests with the answers that a real Kubernetes API server gave to them.

The files `recorded/*.jsonl` hold one request per line, in order, and what a kube-apiserver 1.37.2 without controllers
answered. Everything that differs from run to run (times, uids, versions, allotted addresses) is a star.

To ask a real server anew, with `kubectl proxy` in front of a fresh one:

    python tests/sim/recording.py http://127.0.0.1:8001 tests/sim/recorded/*.jsonl
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any, Protocol

import aiohttp

RECORDED = Path(__file__).parent / "recorded"

MEDIA = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
CHANGING = {
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "lastTransitionTime",
    "time",
    "clusterIP",
    "clusterIPs",
    "nodePort",
    "description",
}
SETTLED = (None, "None", ["None"])
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RECORD = re.compile(r"(in record|current:) \(?\d+\)?")
ALLOTTED = re.compile(r"\b10\.96\.\d+\.\d+\b|(?<=:)3[0-2]\d{3}(?=/)")
AGE = re.compile(r"^(<invalid>|\d+s)$")
COMPLAINTS = re.compile(r", (?=[a-zA-Z<][\w.\[\]<>-]*: (?:Invalid|Required|Unsupp|Dupl|Forb|Too|Not))")

DEFINITIONS = "/customresourcedefinitions"
SERVED_AFTER = 2

Entry = dict[str, Any]


class Answering(Protocol):
    async def __call__(self, entry: Entry, headers: dict[str, str], body: bytes) -> tuple[int, str, str]: ...


def entries(path: Path) -> list[Entry]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def answered(entry: Entry, server: Answering) -> Entry:
    """The entry with what this server answers to its request."""
    headers = {"user-agent": "recorder/1.0", "accept": entry.get("accept", "application/json")}
    if "body" in entry:
        headers["content-type"] = MEDIA.get(entry.get("media", ""), "application/json")
    body = json.dumps(entry["body"], separators=(",", ":")).encode() if "body" in entry else b""
    status, warnings, text = await server(entry, headers, body)
    asked = {key: entry[key] for key in ("method", "path", "accept", "media", "body") if key in entry}
    told = {"warnings": UID.sub("*", warnings)} if warnings else {}
    return asked | {"status": status} | told | {"answer": steady(_decoded(text))}


def steady(value: Any, key: str = "") -> Any:
    """The value without what differs from run to run."""
    if key in CHANGING and value not in SETTLED:
        return "*"
    if key == "managedFields" and isinstance(value, list):
        return [steady(item) for item in sorted(value, key=_owner)]
    if isinstance(value, dict):
        plain = {name: steady(item, name) for name, item in sorted(value.items())}
        return plain | {"message": _sorted_complaints(plain["message"])} if "message" in plain else plain
    if isinstance(value, list):
        items = [steady(item, "cell" if key == "cells" else "") for item in value]
        return sorted(items, key=json.dumps) if key == "causes" else items
    if isinstance(value, str):
        return (
            "AGE" if key == "cell" and AGE.match(value) else RECORD.sub(r"\1 *", ALLOTTED.sub("*", UID.sub("*", value)))
        )
    return value


def _owner(entry: Any) -> str:
    return json.dumps([entry.get("manager"), entry.get("operation"), entry.get("subresource")])


def _sorted_complaints(message: Any) -> Any:
    """A server names several complaints in any order."""
    if not isinstance(message, str) or " is invalid: [" not in message:
        return message
    head, rest = message.split(" is invalid: [", 1)
    return f"{head} is invalid: [{', '.join(sorted(COMPLAINTS.split(rest.removesuffix(']'))))}]"


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


async def record(url: str, paths: list[Path]) -> None:
    """Asks a real server everything anew and rewrites the files."""
    async with aiohttp.ClientSession(url) as session:

        async def server(entry: Entry, headers: dict[str, str], body: bytes) -> tuple[int, str, str]:
            async with session.request(entry["method"], entry["path"], headers=headers, data=body or None) as answer:
                if entry["path"].endswith(DEFINITIONS):
                    await asyncio.sleep(SERVED_AFTER)
                return answer.status, ", ".join(answer.headers.getall("Warning", [])), await answer.text()

        for path in paths:
            told = [await answered(entry, server) for entry in entries(path)]
            path.write_text("".join(f"{json.dumps(entry)}\n" for entry in told))


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1], [Path(name) for name in sys.argv[2:]]))
