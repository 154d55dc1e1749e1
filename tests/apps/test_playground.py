"""The playground for real: Traefik, pods, requests, metrics and the operator as processes on this machine."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from apps.documents import blocks, page
from cluster.processes import Process
from gradatim.apps.playground.journal import Journal
from gradatim.apps.playground.local_cluster import local_cluster
from gradatim.apps.playground.program import operator_process
from gradatim.apps.playground.releases import NAMESPACE, release
from gradatim.apps.playground.story import Story
from gradatim.ports.objects import CANARY, Ref

GRADATIM = (sys.executable, "-m", "gradatim.apps.cli")
pytestmark = [pytest.mark.playground, pytest.mark.xdist_group("playground")]


def said(log: str, mark: str) -> list[str]:
    """The lines with a mark, without their times."""
    return re.findall(rf"^ *\d+\.\d {re.escape(mark)} (.*)$", log, re.MULTILINE)


def test_the_whole_story_as_a_user_starts_it(tmp_path: Path) -> None:
    """Version 2 is promoted, version 3 is rolled back, nobody notices, and there is a picture of it."""
    picture = tmp_path / "playground.svg"
    command = [*GRADATIM, "playground", "--plain", "--picture", str(picture)]
    played = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    told = played.stdout
    assert played.returncode == 0, told + played.stderr
    assert played.stderr == ""
    assert said(told, "→")[-2:] == ["Progressing", "Failed"]
    assert said(told, "→").count("Succeeded") == 1
    events = said(told, "·")
    assert [text for text in events if "iteration" in text][:3] == [
        f"Advance hello.test canary iteration {number}/3" for number in (1, 2, 3)
    ]
    assert "Promotion completed! Scaling down hello-v1.test" in events
    assert any(text.startswith("Halt hello.test advancement error-rate ") for text in said(told, "!"))
    assert "Canary failed! Scaling down hello.test" in said(told, "!")
    summary = told[told.index("It worked (provider nginx, ") :]
    assert "✓ v2 was promoted" in summary
    assert "✓ v3 was rolled back (Halt hello.test advancement error-rate " in summary
    assert "✓ afterwards all users are answered by v2" in summary
    assert re.search(r"✓ [\d,]+ requests: v1 answered [\d,]+, v2 .*; failed requests: 0$", summary, re.MULTILINE)
    svg = picture.read_text()
    assert svg.startswith("<svg")
    assert "error-rate" in svg


@pytest.mark.asyncio
@pytest.mark.parametrize("mesh", ["traefik", "gatewayapi:v1"])
async def test_a_weighted_canary_is_promoted_and_a_bad_one_is_rolled_back(tmp_path: Path, mesh: str) -> None:
    """The same story with shorter intervals, through the proxy's other two ways of reading weights."""
    chosen = msgspec.structs.replace(release(mesh), interval="2s")
    async with local_cluster(chosen, tmp_path) as cluster:
        journal = Journal(cluster.store, Ref(CANARY, NAMESPACE, chosen.canary))
        async with operator_process(cluster.kubeconfig, chosen, cluster.prometheus, cluster.proxy, tmp_path):
            story = Story(cluster, chosen, journal, shortened=True)
            async with sampling(journal):
                load = await story.begin()
                await story.play()
            await load.stop()
    assert [right for _, right in story.outcomes] == [True, True, True], story.outcomes
    assert journal.lost == 0, str(journal.total)
    assert set(journal.total.versions) == {"v1", "v2", "v3"}
    weights = [line.text for line in journal.lines if "canary weight" in line.text]
    assert weights[:3] == [f"Advance hello.test canary weight {weight}" for weight in (20, 40, 60)]


@asynccontextmanager
async def sampling(journal: Journal) -> AsyncIterator[None]:
    """Note who answers, as the screen does."""

    async def sample() -> None:
        while True:
            journal.sample()
            await asyncio.sleep(0.25)

    task = asyncio.create_task(sample())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Kept:
    """A playground that goes on running, and kubectl in it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.environ = dict(os.environ)

    def wait(self) -> None:
        """Until it says how to go on."""
        for _ in range(600):
            self.process.check()
            told = self.process.log.read_text()
            if "Stop with Ctrl-C." in told:
                for variable, where in (("KUBECONFIG", r"export KUBECONFIG=(\S+)\n"), ("PROXY", r"(http://\S+)/\n")):
                    found = re.search(where, told)
                    assert found is not None, told
                    self.environ[variable] = found[1]
                return
            signal.sigtimedwait([], 0.1)
        raise AssertionError(f"no word of a KUBECONFIG:\n{told}")

    def kubectl(self, *arguments: str, **environ: str) -> str:
        """What kubectl prints; it must succeed, and warn of nothing but the way the scenario names its class."""
        done = self.ask(*arguments, **environ)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        warnings = [line for line in done.stderr.splitlines() if "Warning" in line]
        assert all('annotation "kubernetes.io/ingress.class" is deprecated' in line for line in warnings), warnings
        return done.stdout

    def ask(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl."""
        program = str(Path(sys.executable).parent / "kubectl")
        env = {**self.environ, **environ}
        return subprocess.run([program, *arguments], env=env, capture_output=True, text=True, timeout=150, check=False)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """`gradatim playground --keep --no-story`, ended by Ctrl-C."""
    log = tmp_path_factory.mktemp("playground") / "log"
    made = Kept(Process([*GRADATIM, "playground", "--keep", "--no-story", "--plain"], log))
    try:
        made.wait()
        yield made
        made.process.signal(signal.SIGINT)
        assert made.process.wait(20) == 0
    finally:
        made.process.kill()
    assert not Path(made.environ["KUBECONFIG"]).exists()


SCENARIO = Path(__file__).resolve().parents[2] / "src/gradatim/apps/scenario"
IMAGE = "ghcr.io/kmaster8/hello"


def test_a_release_by_hand_with_ones_own_kubectl(kept: Kept) -> None:
    """The scenario with a real kubectl, word by word as in its walk-through, and what a curious user types besides."""
    assert "deployment.apps/hello-v1 created" in kept.kubectl("apply", "-f", str(SCENARIO / "app.yaml"))
    rolled = kept.kubectl("rollout", "status", "deployment/hello-v1", "--timeout=60s")
    assert 'deployment "hello-v1" successfully rolled out' in rolled
    assert "canary.flagger.app/hello created" in kept.kubectl("apply", "-f", str(SCENARIO / "canary.yaml"))
    kept.kubectl("wait", "canary/hello", "--for=condition=Promoted", "--timeout=90s")

    header, row = kept.kubectl("get", "canaries").splitlines()
    assert header.split() == ["NAME", "STATUS", "WEIGHT", "LASTTRANSITIONTIME"]
    assert row.split()[:3] == ["hello", "Initialized", "0"]
    wide = set(kept.kubectl("get", "canary", "hello", "-o", "wide").splitlines()[0].split())
    more = {"SUSPENDED", "FAILEDCHECKS", "INTERVAL", "MIRROR", "STEPWEIGHT", "STEPWEIGHTS", "MAXWEIGHT"}
    assert wide == {*header.split(), *more}
    assert kept.kubectl("get", "deployment", "hello-v1", "--no-headers").split()[1] == "0/0"
    assert kept.kubectl("get", "deployment", "hello-v1-primary", "--no-headers").split()[1] == "3/3"
    described = kept.kubectl("describe", "canary", "hello")
    assert re.search(r"Normal +Synced +\S+ +flagger +Initialization done! hello.test", described)
    assert re.search(r"^ +Phase: +Initialized$", described, re.MULTILINE)

    assert "canaries" in kept.kubectl("api-resources", "--api-group=flagger.app")
    assert "FIELD: threshold <number>" in kept.kubectl("explain", "canary.spec.analysis.threshold")
    assert "verdict" in kept.kubectl("explain", "canary.status.checks")

    patch = '{"spec":{"analysis":{"interval":"3s"}}}'
    assert "patched" in kept.kubectl("patch", "canary", "hello", "--type=merge", "-p", patch)
    editor = "sed -i -e s/iterations:.3/iterations:\\ 2/"
    assert "edited" in kept.kubectl("edit", "canary", "hello", KUBE_EDITOR=editor)
    analysis = "jsonpath={.spec.analysis.interval} {.spec.analysis.iterations}"
    assert kept.kubectl("get", "canary", "hello", "-o", analysis) == "3s 2"

    kept.kubectl("set", "image", "deployment/hello-v1", f"hello={IMAGE}:v2")
    kept.kubectl("wait", "canary/hello", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
    primary = "jsonpath={.spec.template.spec.containers[0].image}"
    assert kept.kubectl("get", "deployment", "hello-v1-primary", "-o", primary) == f"{IMAGE}:v2"
    assert "Advance hello.test canary iteration 2/2" in kept.kubectl("get", "events", "-o", "jsonpath={..message}")
    assert kept.kubectl("logs", "deployment/hello-v1-primary", "--tail=2").count("\n") == 2

    kept.kubectl("create", "deployment", "web", "--image=web:1")
    assert "scaled" in kept.kubectl("scale", "deployment/web", "--replicas=2")
    kept.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert kept.kubectl("get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}") == "2"

    assert "deleted" in kept.kubectl("delete", "canary", "hello")
    gone = kept.ask("get", "canary", "hello")
    assert gone.returncode == 1
    assert gone.stderr == 'Error from server (NotFound): canaries.flagger.app "hello" not found\n'
    kept.kubectl("wait", "deployment/hello-v1-primary", "--for=delete", "--timeout=60s")


def test_the_example_with_ones_own_manifests_works_as_written(kept: Kept, tmp_path: Path) -> None:
    """Every command of the page, in its order, by a shell that stops at the first that fails."""
    written = blocks(page("try-your-own-manifests"))
    (manifest,) = [block for block in written if block.language == "yaml"]
    (tmp_path / "shop.yaml").write_text(manifest.text)
    start, takeover, *steps = [block.text for block in written if block.language == "sh"]
    assert start == "python3 dev.py play --keep --no-story\n"
    assert re.findall(r"export (\w+)=", takeover) == ["KUBECONFIG", "PROXY"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**kept.environ, "PATH": path}
    script = "\n".join(["set -eu", "trap 'kill $USERS' EXIT", *steps, "trap - EXIT"])
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Halt shop.test advancement success rate 0.00% < 99%" in done.stdout
    assert "hello from 1.1 pod shop-primary-" in done.stdout


def test_interrupted_in_the_middle_of_the_story_it_takes_everything_down(tmp_path: Path) -> None:
    process = Process([*GRADATIM, "playground", "--plain"], tmp_path / "log")
    try:
        for _ in range(600):
            process.check()
            if "begin" in process.log.read_text():
                break
            signal.sigtimedwait([], 0.1)
        process.signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
    assert "Traceback" not in process.log.read_text()


def test_without_what_the_playground_needs_it_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['rich'] = None; from gradatim.apps import cli; sys.exit(cli.main(['playground']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "The playground needs more than the operator: pip install 'gradatim[playground]' (missing: rich)\n"
    )
