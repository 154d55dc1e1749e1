"""Requests lost over many full releases in the playground: real Traefik, constant load, with and without keep-alive.

    python3 dev.py run python bench/lost_requests.py [--kind traefik/weighted] [--case killed [--on nginx/weighted]]
        [--releases 50] [--rate 1000] [--flag=-settle-time=2s] [--json FILE]

`--kind` and `--case` take patterns, such as `traefik/*` or `all`, and may be given several times; `--list` names all.
Counted as lost is every request that no version answered: no answer at all, or an error page of the proxy. What a bad
version answers is an answer. Nothing is ever sent twice.

A kind is played with an initialization, so many releases of which every other one is bad and rolled back, and a
deletion with revert, all under load. A case is something hard, played so many times.
"""

from __future__ import annotations

import argparse
import asyncio
import fnmatch
import random
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
from soak.crowds import Row
from soak.kinds import kinds
from soak.plays import CASES, play_case, play_kind


async def main() -> int:
    """Play and report; 0 when no request was lost but where that cannot be helped."""
    found = _arguments()
    chosen_kinds, chosen_cases = _matching(kinds(), found.kind), _matching(CASES, found.case)
    if found.list:
        for name in kinds():
            print(f"kind  {name}")
        for name, case in CASES.items():
            print(f"case  {name}: {case.about} ({case.kind}){f'; loses: {case.loses}' if case.loses else ''}")
        return 0
    rows: dict[str, list[Row]] = {}
    for name in chosen_kinds or ([] if chosen_cases else ["nginx/blue-green"]):
        print(f"{name}:", file=sys.stderr, flush=True)
        rows[name] = await play_kind(kinds()[name], found.releases, found.rate, tuple(found.flag))
    for name in chosen_cases:
        print(f"{name}:", file=sys.stderr, flush=True)
        chance = random.Random(found.seed)
        case = msgspec.structs.replace(CASES[name], kind=found.on or CASES[name].kind)
        rows[name] = await play_case(case, found.releases, found.rate, chance, tuple(found.flag))
    if found.json:
        Path(found.json).write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    return _report(rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kind", action="append", default=[], metavar="PATTERN", help="kinds of release, or all")
    parser.add_argument("--case", action="append", default=[], metavar="PATTERN", help="hard cases, or all")
    parser.add_argument("--on", choices=kinds(), metavar="KIND", help="play the cases with this kind of release")
    parser.add_argument("--list", action="store_true", help="name all kinds and cases, and play nothing")
    parser.add_argument("--releases", type=int, default=10, help="of each kind, and rounds of each case (default 10)")
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second, half without keep-alive")
    parser.add_argument("--flag", action="append", default=[], metavar="-NAME=VALUE", help="flags of the operator")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which things go wrong")
    parser.add_argument("--json", metavar="FILE", help="write every row there")
    return parser.parse_args()


def _matching(names: Iterable[str], patterns: list[str]) -> list[str]:
    """The names that fit one of the patterns; a pattern that fits none ends the program."""
    known = list(names)
    for pattern in patterns:
        if pattern != "all" and not fnmatch.filter(known, pattern):
            raise SystemExit(f"{pattern!r} fits none of {', '.join(known)}")
    return [name for name in known if any(pattern == "all" or fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def _report(rows: dict[str, list[Row]]) -> int:
    """One line for each kind and case."""
    bad = 0
    for name, found in rows.items():
        excused = name in CASES and bool(CASES[name].loses)
        lost = sum(row.lost for row in found)
        wrong = sum(bool(row.wrong) for row in found)
        bad += wrong + (0 if excused else lost)
        requests, seconds = sum(row.requests for row in found), sum(row.seconds for row in found)
        print(f"{name:<32} {len(found):>3} rows {seconds:7.1f} s {requests:>9,} requests {lost:>6} lost", end="")
        print(f"  {wrong} rows went wrong" if wrong else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
