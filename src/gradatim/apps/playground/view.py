"""What the user watches: phase, the split of traffic, the checks with their limits, who answered, and what was said."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gradatim.api.status import CanaryStatus, Phase
from gradatim.apps.playground.journal import Journal, Line

COLOURS = ("cyan", "green", "magenta", "yellow")
_PHASE = {Phase.SUCCEEDED: "bold green", Phase.INITIALIZED: "green", Phase.FAILED: "bold red"}
_KIND = {"warning": "yellow", "event": "white", "phase": "bold cyan", "you": "bold magenta"}
_MARK = {"warning": "!", "event": "·", "phase": "→", "you": "$"}
BAR = 60
LINES = 12


def screen(journal: Journal) -> RenderableType:
    """The whole picture."""
    title = Text.assemble(("Gradatim playground", "bold"), f"  {journal.seconds:5.1f} s  ", (journal.chapter, "italic"))
    return Panel(
        Group(_release(journal), Text(), _traffic(journal), Text(), _checks(journal), Text(), _log(journal)),
        title=title,
        border_style="blue",
        padding=(0, 1),
    )


def _release(journal: Journal) -> RenderableType:
    status = journal.canary.status if journal.canary is not None else CanaryStatus()
    phase = status.phase.value or "–"
    waiting = f"   waiting for {status.waiting_for}" if status.waiting_for else ""
    return Text.assemble(
        "phase    ",
        (f"{phase:<17}", _PHASE.get(status.phase, "bold cyan")),
        f" iteration {status.iterations}   weight {status.canary_weight}   failed checks {status.failed_checks}",
        (waiting, "dim"),
    )


def _traffic(journal: Journal) -> RenderableType:
    bar, legend = Text("traffic  "), Text("answered ")
    for number, (version, share) in enumerate(journal.shares.items()):
        bar.append("█" * max(1, round(share * BAR)) if share else "", COLOURS[number % len(COLOURS)])
        legend.append(f"{version or '?'} {share:4.0%}  ", COLOURS[number % len(COLOURS)])
    for version, number in sorted(journal.total.versions.items()):
        legend.append(f"  {version}: {number:,}", "dim")
    failed = journal.lost
    legend.append(f"   failed requests: {failed}", "bold green" if not failed else "bold red")
    return Group(bar, legend)


def _checks(journal: Journal) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=False)
    for column in ("check", "value", "limit", "verdict"):
        table.add_column(column, header_style="dim")
    status = journal.canary.status if journal.canary is not None else CanaryStatus()
    for check in status.checks:
        style = "green" if check.verdict == "passed" else "red" if check.verdict == "failed" else "yellow"
        table.add_row(check.name, check.value or "–", check.limit, Text(check.verdict, style))
    if not status.checks:
        table.add_row(Text("none yet", "dim"), "", "", "")
    return table


def _log(journal: Journal) -> RenderableType:
    return Group(*(line_text(line) for line in list(journal.lines)[-LINES:]))


def line_text(line: Line) -> Text:
    """One line of the log."""
    return Text.assemble(
        (f"{line.at:5.1f} ", "dim"),
        (f"{_MARK[line.kind]} {line.text}", _KIND[line.kind]),
        overflow="ellipsis",
        no_wrap=True,
    )


def summary(console: Console, journal: Journal, outcomes: list[tuple[str, bool]], mesh: str) -> None:
    """The end in plain words."""
    good = all(right for _, right in outcomes) and journal.lost == 0
    console.print()
    console.print(
        f"[bold]{'It worked' if good else 'It did not work'}[/bold] (provider {mesh}, {journal.seconds:.0f} s)"
    )
    for text, right in outcomes:
        console.print(f"  [{'green' if right else 'red'}]{'✓' if right else '✗'}[/] {text}")
    tallies = sorted(journal.total.versions.items())
    versions = ", ".join(f"{version} answered {number:,}" for version, number in tallies)
    mark = "[green]✓[/]" if journal.lost == 0 else "[red]✗[/]"
    number = journal.total.answered + journal.total.lost
    console.print(f"  {mark} {number:,} requests: {versions}; failed requests: {journal.lost}", soft_wrap=True)
    if journal.lost:
        console.print(f"    [red]{journal.total}[/red]")
