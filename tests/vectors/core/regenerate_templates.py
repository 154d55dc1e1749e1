"""Asks Go again what the templates in templates.yaml give, and writes the answers beside them.

Run it after adding a template (`python tests/vectors/core/regenerate_templates.py`, with PyYAML and Go at hand): each
case needs only its `template`. The tests need neither Go nor this program.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
VECTORS = HERE / "templates.yaml"
KEPT = ("template", "ours")


def main() -> None:
    """Rewrite the file."""
    head = "".join(line for line in VECTORS.read_text().splitlines(keepends=True) if line.startswith("#"))
    document = yaml.safe_load(VECTORS.read_text())
    cases = [case for group in document["groups"] for case in group["cases"]]
    question = {"Scope": document["scope"], "Templates": [case["template"] for case in cases]}
    done = subprocess.run(
        ["go", "run", str(HERE / "templates_oracle.go")],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    for case, answer in zip(cases, json.loads(done.stdout), strict=True):
        kept = {key: case[key] for key in KEPT if key in case}
        case.clear()
        case.update(kept | answer)
    VECTORS.write_text(head + dumped(document))


def dumped(document: dict[str, Any]) -> str:
    """The document with one case a line."""
    lines = [f"scope: {flow(document['scope'])}", "groups:"]
    for group in document["groups"]:
        lines += [f"- about: {group['about']}", "  cases:"]
        lines += [f"  - {flow(case)}" for case in group["cases"]]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """JSON is YAML, and stays on one line."""
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main()
