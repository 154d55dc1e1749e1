"""Every chore of the project as one command, on nothing but Python 3.11+ (no uv, make or Go needed).

    python3 dev.py play [ARGS]     run the playground: a real blue/green, promoted and rolled back
    python3 dev.py test [ARGS]     all checks and all tests
    python3 dev.py check           format, lint, types and import contracts only
    python3 dev.py format          rewrite the sources with the formatter
    python3 dev.py docs [--check]  write the reference pages anew, or only say which are not up to date
    python3 dev.py run CMD …       any program of the environment

The environment lives in a cache folder (`GRADATIM_CACHE`, else `~/.cache/gradatim`), keyed by the interpreter, this
checkout's place and the project's requirements, so a changed requirement makes a new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
_BUILD = "import runpy, sys; sys.path.insert(0, 'tests'); runpy.run_module('cluster.binaries', run_name='__main__')"
FLOOR = (3, 11)


def main(argv: list[str]) -> int:
    """Run one chore; return its exit code."""
    if sys.version_info < FLOOR:
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"Gradatim needs Python 3.11 or newer; this is {found} ({sys.executable}).", file=sys.stderr)
        return 2
    match argv:
        case ["play", *rest]:
            return run(environment("playground"), "gradatim", "playground", *rest)
        case ["test", *rest]:
            return test(environment("dev"), rest)
        case ["check"]:
            return check(environment("dev"))
        case ["format"]:
            home = environment("dev")
            return run(home, "ruff", "format", ".") or run(home, "ruff", "check", "--fix", ".")
        case ["docs", *rest]:
            return run(environment("dev"), "python", "docs/generate", *rest)
        case ["run", *rest] if rest:
            return run(environment("dev"), *rest)
    print(__doc__, file=sys.stderr)
    return 2


def check(home: Path) -> int:
    """Format, lint, types and import contracts."""
    return (
        run(home, "ruff", "format", "--check", ".")
        or run(home, "ruff", "check", ".")
        or run(home, "mypy")
        or run(home, "lint-imports", "--cache-dir", str(home / "contracts"))
    )


def test(home: Path, rest: list[str]) -> int:
    """All checks, then all tests, those of the core with every branch covered; arguments narrow the tests."""
    if rest:
        return run(home, "pytest", *rest)
    # Built here, so that one sees how far it is; if that fails, the tests that need it say so.
    run(home, "python", "-c", _BUILD)
    # The tests of the real control plane share one worker, so that only one is started; the rest keeps the others busy.
    parallel = ("-n", "auto", "--dist", "loadgroup", "-q")
    covered = ("--cov=gradatim.core", "--cov-branch", "--cov-fail-under=100", "--cov-report=term:skip-covered")
    return (
        check(home)
        or run(home, "pytest", "tests/core", *parallel, *covered)
        or run(home, "pytest", "--ignore=tests/core", *parallel)
    )


def run(home: Path, program: str, *args: str) -> int:
    """Run a program of the environment in the checkout and pass its exit code on."""
    path = f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    env = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen([str(home / "bin" / program), *args], cwd=ROOT, env=env)
    signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the terminal has told the program too; it takes its own down in order


def environment(extra: str) -> Path:
    """The folder of a virtual environment with the project and `extra` installed, made on first use."""
    import tomllib  # noqa: PLC0415 - older Pythons get as far as the sentence about their age

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = {key: project[key] for key in ("dependencies", "optional-dependencies", "scripts")}
    wanted = repr((needs, sys.version, str(ROOT), extra)).encode()
    cache = Path(os.environ.get("GRADATIM_CACHE") or Path.home() / ".cache" / "gradatim")
    home = cache / f"{extra}-{hashlib.sha256(wanted).hexdigest()[:16]}"
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:  # whoever comes second waits, instead of making it anew
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").exists():
            set_up(home, extra)
    return home


def set_up(home: Path, extra: str) -> None:
    """Make an environment and install the project into it."""
    print(f"Setting up {home} (once) …", file=sys.stderr, flush=True)
    shutil.rmtree(home, ignore_errors=True)
    make_venv(home)
    install = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*install, "--editable", f"{ROOT}[{extra}]"], check=False).returncode:
        sys.exit("Installing from the package registry failed; the lines above say why. Run the same command again.")
    (home / "ready").touch()


def make_venv(home: Path) -> None:
    """A virtual environment, also where the distribution ships Python without ensurepip."""
    made = subprocess.run([sys.executable, "-m", "venv", str(home)], check=False, capture_output=True, text=True)
    if made.returncode == 0:
        return
    shutil.rmtree(home, ignore_errors=True)
    with tempfile.TemporaryDirectory() as tools:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", tools, "virtualenv"]
        env = {**os.environ, "PYTHONPATH": tools}
        if subprocess.run(pip, check=False).returncode == 0:
            subprocess.run([sys.executable, "-m", "virtualenv", str(home)], env=env, check=True)
            return
    sys.exit(
        f"This Python can make no virtual environment:\n{made.stderr or made.stdout}"
        "Install its venv or pip package (on Debian: apt-get install python3-venv) and run the same command again."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
