"""`gradatim`: the one command, and what it can be asked to do."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_USAGE = """\
usage: gradatim COMMAND [ARGUMENTS]

  operator     run the operator against a cluster (gradatim operator --help)
  playground   run a release on this machine, without a cluster (gradatim playground --help)
  manifests    print what an installation on a cluster needs, as YAML
  version      print the version
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; each is imported only when it is asked for."""
    match list(sys.argv[1:] if argv is None else argv):
        case ["operator", *rest]:
            from gradatim.apps import operator  # noqa: PLC0415

            return operator.main(rest)
        case ["playground", *rest]:
            from gradatim.apps.playground import program  # noqa: PLC0415

            return program.main(rest)
        case ["manifests", *rest]:
            from gradatim.apps import manifests  # noqa: PLC0415

            return manifests.main(rest)
        case ["version" | "--version" | "-version"]:
            from gradatim.apps.wiring import VERSION  # noqa: PLC0415

            sys.stdout.write(f"gradatim {VERSION}\n")
            return 0
        case ["help" | "--help" | "-h"]:
            sys.stdout.write(_USAGE)
            return 0
        case [unknown, *_]:
            sys.stderr.write(f"gradatim: unknown command {unknown!r}\n\n{_USAGE}")
            return 2
    sys.stderr.write(_USAGE)
    return 2


if __name__ == "__main__":
    sys.exit(main())
