"""What the pages show is true: manifests are accepted, commands exist with their flags, examples are what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest
import yaml

from apps.documents import PAGES, ROOT, Block, blocks, documents, manifests, page, programs
from gradatim.apps import cli
from gradatim.apps.flags import parse
from gradatim.apps.playground.program import arguments
from gradatim.apps.playground.releases import release
from gradatim.sim.pods.images import BY_TAG
from simulated import Space, simulated
from simulated.outside import PROMETHEUS

PLAIN = {"cd", "curl", "docker", "do", "done", "export", "kill", "pip", "sleep", "while", "USERS=$!", "PREVIOUS=$"}
"""Words that begin a command which is nothing of ours."""

COMMANDS = [(block.page.stem, command) for block in blocks() for command in block.commands()]
OBJECTS = [block for block in blocks() if manifests(block)]


@cache
def kubectl_help(*words: str) -> str:
    """What kubectl says about a command, with the flags that all commands take."""
    program = str(Path(sys.executable).parent / "kubectl")
    pages = []
    for asked in ([*words, "--help"], ["options"]):
        done = subprocess.run([program, *asked], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        pages.append(done.stdout)
    assert "Usage:" in pages[0], words
    return "\n".join(pages)


def check_kubectl(words: list[str]) -> None:
    """The command exists, and all its flags do."""
    given = iter(words)
    plain: list[str] = []
    for word in given:
        if word in ("--namespace", "-n"):
            next(given)
        elif not word.startswith("-"):
            plain.append(word)
    two = plain[0] in ("set", "rollout", "create")
    told = kubectl_help(*plain[: 2 if two else 1])
    assert f"kubectl {' '.join(plain[: 2 if two else 1])}" in told
    for flag in (word.partition("=")[0] for word in words if word.startswith("-")):
        assert re.search(rf"(^|[ ,]){re.escape(flag)}[=, :]", told, re.MULTILINE), f"{flag} of {words}"


def check_ours(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Our own commands take these arguments."""
    match words:
        case ["manifests", *rest]:
            assert cli.main(["manifests", *rest]) == 0
            assert list(yaml.safe_load_all(capsys.readouterr().out))
        case ["operator", *rest]:
            assert parse(rest, {}).values
        case ["playground", *rest]:
            assert arguments().parse_args(rest)
        case _:
            raise AssertionError(f"gradatim {' '.join(words)}: nobody knows it")


@pytest.mark.parametrize(("where", "command"), COMMANDS, ids=lambda text: text[:40])
def test_every_command_exists_with_its_flags(capsys: pytest.CaptureFixture[str], where: str, command: str) -> None:
    for program, *words in programs(command):
        match program:
            case "kubectl":
                check_kubectl(words)
            case "gradatim":
                check_ours(words, capsys)
            case "python3":
                assert words[0] == "dev.py"
                assert f"\n    python3 dev.py {words[1]} " in (ROOT / "dev.py").read_text()
                if words[1] == "play":
                    check_ours(["playground", *words[2:]], capsys)
            case _:
                assert program in PLAIN, f"{where}: what is {program}?"


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) > 30
    assert OBJECTS


@pytest.mark.asyncio
@pytest.mark.parametrize("block", OBJECTS, ids=lambda block: block.page.stem)
async def test_every_manifest_is_accepted_and_initialized(virtual_time: Callable[[], float], block: Block) -> None:
    """By a server that refuses unknown fields in its own way, and by the operator, which warns of nothing."""
    async with simulated("traefik", "gatewayapi") as cluster, cluster.operator():
        space = cluster.space("test")
        await space.create(*manifests(block))
        for manifest in manifests(block):
            if manifest["kind"] == "Canary":
                name = manifest["metadata"]["name"]
                status = (await space.phase("Initialized", name))["status"]
                assert {condition["type"] for condition in status["conditions"]} == {"Promoted", "Ready"}
                await spec_is_kept(space.canary(name), manifest)


async def spec_is_kept(stored: dict[str, object], written: dict[str, object]) -> None:
    """Nothing was dropped: an unknown field would be."""
    assert stored["spec"] == written["spec"]


def test_parts_of_objects_are_shown_where_they_are_checked_otherwise() -> None:
    parts = [block for block in blocks() if block.language == "yaml" and not manifests(block)]
    assert [block.page.stem for block in parts] == ["explain-a-rollback"]


def without(status: object, *keys: str) -> object:
    """The same without some keys, wherever they are."""
    if isinstance(status, dict):
        return {key: without(value, *keys) for key, value in status.items() if key not in keys}
    return [without(one, *keys) for one in status] if isinstance(status, list) else status


TO_CANARY = "Routing all traffic to canary"


def ends_with(space: Space, text: str) -> bool:
    """Whether this was told last."""
    return space.events()[-1] == text


async def release_image(space: Space, tag: str) -> None:
    """Release a version of the scenario's application."""
    containers = [{"name": "hello", "image": f"ghcr.io/kmaster8/hello:{tag}"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    await space.merge("apps/v1", "Deployment", "hello-v1", patch)


@pytest.mark.asyncio
async def test_the_rollback_that_is_explained_is_what_happens(virtual_time: Callable[[], float]) -> None:
    """The scenario on virtual time, with the values that were measured when the page was written."""
    explained = blocks(page("explain-a-rollback"))
    chosen = release("nginx")
    async with simulated() as cluster, cluster.operator():
        space = cluster.space("test")
        template, canary = chosen.analysis()
        template["spec"]["provider"]["address"] = PROMETHEUS
        await space.create(*chosen.prepare(8000), *chosen.app(), template, canary)
        await space.phase("Initialized", "hello")
        answers = space.script()
        await release_image(space, "v2")
        answers.metric = "0"
        await space.phase("Succeeded", "hello")
        await release_image(space, "v3")
        for after, rate in ((TO_CANARY, "59.99"), ("Halt hello.test advancement error-rate 59.99 > 0", "100")):
            await space.until(partial(ends_with, space, after), after)
            answers.metric = rate
        await space.phase("Failed", "hello")
        await space.told("Canary failed!")
        status, events = space.status("hello"), space.events()
    (shown,) = [documents(block) for block in explained if block.language == "yaml"]
    left_out = ("lastTransitionTime", "lastUpdateTime", "time", "ended", "revision")
    (wanted,) = shown
    assert without({key: status[key] for key in wanted["status"]}, *left_out) == wanted["status"]
    ready = next(one for one in status["conditions"] if one["type"] == "Ready")
    assert explained[0].answers() == [ready["message"]]
    told = [line.split("flagger  ")[1] for block in explained for line in block.answers() if "  flagger  " in line]
    assert told == events[-len(told) :]


def test_every_behaviour_of_the_demo_application_is_told() -> None:
    text = page("try-your-own-manifests").read_text()
    assert [tag for tag in BY_TAG if f"`{tag}`" not in text] == []


@pytest.mark.parametrize("where", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(where: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", where.read_text())
    assert [target for target in targets if not (where.parent / target).exists()] == []


def test_the_index_names_every_page() -> None:
    text = (ROOT / "docs" / "README.md").read_text()
    pages = [*ROOT.glob("docs/how-to/*.md"), *ROOT.glob("docs/reference/*.md")]
    assert [path.name for path in pages if f"({path.relative_to(ROOT / 'docs')})" not in text] == []


def test_the_licence_is_apaches_and_the_notice_names_what_is_followed() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    notice = (ROOT / "NOTICE").read_text()
    assert "Prometheus" in notice
    named = re.findall(r"src/[\w/]+\.py", notice)
    assert named
    assert all((ROOT / path).exists() for path in named)


def test_changes_are_told_in_a_few_lines_each() -> None:
    files = sorted((ROOT / "changelog.d").glob("*.md"))
    assert files
    assert [path.name for path in files if not 1 <= len(path.read_text().splitlines()) <= 5] == []
