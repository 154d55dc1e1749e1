"""The operator on a machine whose wall clock jumps: `python -P jumping_clock.py FILE operator FLAGS …`.

The file says by how many seconds the clock is wrong, and may be rewritten at any time. The monotonic clock goes on, as
on a real machine. Only the operator's clock can be bent like this: the control plane's programs ask the kernel.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path


def main(file: Path, arguments: list[str]) -> int:
    """Bend the clock, and only then load the program."""
    true_time = time.time

    def bent() -> float:
        return true_time() + float(file.read_text())

    time.time = bent
    from gradatim.apps import cli

    return cli.main(arguments)


def jump(file: Path, seconds: float) -> None:
    """From now on the clock is wrong by so much."""
    fresh = file.with_suffix(".part")
    fresh.write_text(str(seconds))
    fresh.rename(file)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
