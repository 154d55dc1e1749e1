"""`gradatim`, the one command: what it knows, and what it says to anything else."""

from __future__ import annotations

import pytest

from gradatim.apps import cli


@pytest.mark.parametrize("argv", [["help"], ["--help"], ["-h"]])
def test_help_names_every_command(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert cli.main(argv) == 0
    told = capsys.readouterr().out
    assert told.startswith("usage: gradatim COMMAND")
    for command in ("operator", "playground", "manifests", "version"):
        assert f"\n  {command} " in told


@pytest.mark.parametrize("argv", [["version"], ["--version"], ["-version"]])
def test_version_is_one_line(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert cli.main(argv) == 0
    assert capsys.readouterr().out == "gradatim 0.1.0\n"


def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["oprator"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("gradatim: unknown command 'oprator'\n\nusage: gradatim COMMAND")


def test_no_command_is_told_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert capsys.readouterr().err.startswith("usage: gradatim COMMAND")


@pytest.mark.parametrize("command", ["playground", "manifests"])
def test_every_command_has_help_of_its_own(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: gradatim {command}")


def test_the_operators_arguments_are_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["operator", "-version"]) == 0
    assert capsys.readouterr().out.startswith("Gradatim version ")


def test_a_mesh_that_the_playground_cannot_drive_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["playground", "--provider", "istio"])
    assert end.value.code == 2
    assert "'nginx', 'traefik', 'gatewayapi:v1'" in capsys.readouterr().err
