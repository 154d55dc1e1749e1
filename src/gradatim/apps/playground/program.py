"""The program: start the cluster and the operator, play the story, show it, and say in plain words how it went."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from gradatim.api.errors import GradatimError
from gradatim.apps.playground.releases import MESHES, NAMESPACE, Release, release
from gradatim.ports.objects import CANARY, Ref

_MISSING = "The playground needs more than the operator: pip install 'gradatim[playground]' (missing: {})"


def main(argv: Sequence[str]) -> int:
    """Play; 0 only if version 2 was promoted, version 3 was rolled back and no request failed, 130 if interrupted."""
    found = arguments().parse_args(argv)
    try:
        return asyncio.run(_main(found))
    except ModuleNotFoundError as error:
        sys.stderr.write(_MISSING.format((error.name or "").partition(".")[0]) + "\n")
        return 2
    except (GradatimError, TimeoutError) as error:
        sys.stderr.write(f"gradatim playground: {error}\n")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


def arguments() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(prog="gradatim playground", description=__doc__.partition("\n")[0])
    parser.add_argument("--provider", choices=MESHES, default="nginx", help="how traffic is moved (default nginx)")
    parser.add_argument("--keep", action="store_true", help="keep everything running afterwards, for your own kubectl")
    parser.add_argument("--no-story", action="store_true", help="with --keep: start the cluster and leave it to you")
    parser.add_argument("--unshortened", action="store_true", help="keep the intervals of the manifests (10 s)")
    parser.add_argument("--plain", action="store_true", help="lines instead of a live screen")
    parser.add_argument("--port", type=int, default=0, help="port of the API server (default: a free one)")
    parser.add_argument("--picture", metavar="FILE", help="write the screen at its most telling moment to an SVG file")
    return parser


async def _main(found: argparse.Namespace) -> int:
    from gradatim.apps.playground.journal import Journal  # noqa: PLC0415 - the extra may not be installed
    from gradatim.apps.playground.local_cluster import local_cluster  # noqa: PLC0415
    from gradatim.apps.playground.shows import Show  # noqa: PLC0415
    from gradatim.apps.playground.story import Story  # noqa: PLC0415

    _stop_on_signals()
    chosen = release(found.provider)
    folder = Path(tempfile.mkdtemp(prefix="gradatim-playground-"))
    try:
        async with local_cluster(chosen, folder, found.port) as cluster:
            journal = Journal(cluster.store, Ref(CANARY, NAMESPACE, chosen.canary))
            async with operator_process(cluster.kubeconfig, chosen, cluster.prometheus, cluster.proxy, folder):
                show = Show(journal, plain=found.plain, picture=found.picture)
                story = Story(cluster, chosen, journal, shortened=not found.unshortened)
                async with show.running():
                    if not found.no_story:
                        load = await story.begin()
                        await story.play()
                    else:
                        load = await story.users()
                good = not story.outcomes or show.summary(story.outcomes, chosen.mesh)
                if found.keep:
                    await _keep(cluster.kubeconfig, cluster.traefik.web_port, folder)
                await load.stop()
                return 0 if good else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def operator_process(
    kubeconfig: Path, chosen: Release, prometheus: str, proxy: str, folder: Path, *, more: Sequence[str] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The operator as a process of its own: the same program, with the same flags, as in a cluster, and `more`.

    Cluster names are resolved by the proxy; the API server, the operator's one address on this machine, is not.
    """
    flags = [
        f"-kubeconfig={kubeconfig}",
        f"-mesh-provider={chosen.mesh}",
        f"-metrics-server={prometheus}",
        "-port=0",
        f"-minimum-interval={chosen.interval}",
        "-settle-time=1s",
        *more,
    ]
    environ = {**os.environ, "HTTP_PROXY": proxy, "http_proxy": proxy, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    log = folder / "operator.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gradatim.apps.cli", "operator", *flags, env=environ, stderr=output, stdout=output
        )
        try:
            yield process
            if process.returncode is not None:
                raise GradatimError(f"the operator ended with code {process.returncode}:\n{_tail(log)}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\nThe operator's last words:\n{_tail(log)}") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


async def _keep(kubeconfig: Path, port: int, folder: Path) -> None:
    """Say how to go on by hand, and wait to be stopped."""
    kubectl = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    sys.stdout.write(
        f"\nEverything goes on running. In another terminal:\n\n"
        f"  export KUBECONFIG={shlex.quote(str(kubeconfig))}\n"
        f"  {shlex.quote(kubectl) if kubectl else 'kubectl'} get canaries -o wide\n\n"
        f"100 requests a second go on, too. The application: curl -H 'Host: test.prod.10.60.200.121.sslip.io' http://127.0.0.1:{port}/\n"
        f"The operator's log: {folder / 'operator.log'}\n"
        "Stop with Ctrl-C.\n"
    )
    sys.stdout.flush()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


def _stop_on_signals() -> None:
    """Ctrl-C and SIGTERM both take everything down in order."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
