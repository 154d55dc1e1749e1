"""Query templates give what Go's text/template gives, and their errors say where."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gradatim.core.templates import TemplateError, check, render

VECTORS = yaml.safe_load((Path(__file__).parents[1] / "vectors/core/templates.yaml").read_text())
SCOPE = VECTORS["scope"]
CASES = [(group["about"], case) for group in VECTORS["groups"] for case in group["cases"]]
WORDS = {"parsing": "template parsing failed: ", "execution": "template excution failed: "}


def _outcome(case: dict[str, Any]) -> str:
    return "ours" if "ours" in case else next(key for key in ("text", "parsing", "execution") if key in case)


def _cases(*outcomes: str) -> Any:
    chosen = [(about, case) for about, case in CASES if _outcome(case) in outcomes]
    named = [pytest.param(case, id=f"{about}: {case['template']}"[:80]) for about, case in chosen]
    return pytest.mark.parametrize("case", named)


@_cases("text")
def test_a_template_gives_the_text_that_go_gives(case: dict[str, Any]) -> None:
    assert render(case["template"], SCOPE) == case["text"]


@_cases("parsing", "execution")
def test_a_template_that_go_refuses_is_refused_in_the_same_line_and_words(case: dict[str, Any]) -> None:
    with pytest.raises(TemplateError) as caught:
        render(case["template"], SCOPE)
    error, words = caught.value, case[_outcome(case)]
    assert error.message == f"{WORDS[_outcome(case)]}line {error.line}, column {error.column}: {error.detail}"
    assert error.line == int(re.findall(r"^template: query:(\d+)", words)[0])
    assert words.endswith(error.detail)


@_cases("ours")
def test_a_template_we_refuse_in_words_of_our_own(case: dict[str, Any]) -> None:
    """Mostly what Go refuses too; a few rarities (complex numbers, `%x` of a fraction) only we refuse."""
    with pytest.raises(TemplateError) as caught:
        render(case["template"], SCOPE)
    assert caught.value.detail == case["ours"]


def test_there_are_templates_of_every_outcome() -> None:
    """The tests above cannot be empty."""
    outcomes = [_outcome(case) for _, case in CASES]
    assert min(outcomes.count(key) for key in ("text", "parsing", "execution")) > 30


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ foo }}", 'template parsing failed: line 1, column 4: function "foo" not defined'),
        ("sum(\n  x{a={{ name | lower }}}", 'template parsing failed: line 2, column 17: function "lower" not defined'),
        ("{{ name }", 'template parsing failed: line 1, column 9: unexpected "}" in operand'),
        ("{{ if name }}", "template parsing failed: line 1, column 14: unexpected EOF"),
    ],
)
def test_checking_says_what_is_wrong_and_where(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        check(template, ("name",))
    assert caught.value.message == message


def test_checking_accepts_what_only_values_can_decide() -> None:
    """Whether a key exists is known only with a Canary's variables."""
    check("{{ variables.anything }}", ("variables",))


def test_a_missing_key_is_an_error_in_the_words_users_know() -> None:
    with pytest.raises(TemplateError) as caught:
        render("{{ name }} {{ variables.kind }}", {"name": "x", "variables": {}})
    message = 'template excution failed: line 1, column 15: map has no entry for key "kind"'
    assert caught.value.message == message
    assert (caught.value.line, caught.value.column) == (1, 15)


@pytest.mark.parametrize(
    "template",
    [
        "{{ range 1000000000 }}{{ end }}",
        '{{ $x := "ab" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}',
        '{{ define "t" }}{{ template "t" }}{{ end }}{{ template "t" }}',
        '{{ range 100 }}{{ printf "%999999d" 1 }}{{ end }}',
        "{{ range 3000 }}{{ range 3000 }}" + "long text" + "{{ end }}{{ end }}",
    ],
)
def test_an_endless_template_is_stopped(template: str) -> None:
    """Whoever may write a MetricTemplate must not be able to stop the operator."""
    with pytest.raises(TemplateError, match=r"takes too long or becomes too large|nested too deeply"):
        render(template, {})


@pytest.mark.parametrize(
    "template", ["{{ " + "(" * 500 + "1" + ")" * 500 + " }}", "{{ if 1 }}" * 500 + "{{ end }}" * 500]
)
def test_a_deeply_nested_template_is_refused(template: str) -> None:
    with pytest.raises(TemplateError, match="nested more than"):
        check(template, ())


PIECES = [
    "{{",
    "}}",
    "{{- ",
    " -}}",
    " ",
    "\n",
    "|",
    "(",
    ")",
    "$x",
    ":=",
    "=",
    ",",
    ".",
    ".a",
    '"',
    '"%d"',
    "`",
    "'a'",
    "1",
]
PIECES += [
    "-",
    "name",
    "variables",
    "if",
    "else",
    "end",
    "range",
    "with",
    "define",
    "template",
    '"t"',
    "printf",
    "eq",
    "é",
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_nonsense_is_refused_and_never_crashes(text: str) -> None:
    try:
        render(text, SCOPE)
        said = None
    except TemplateError as error:
        said = error
    assert said is None or (said.detail and 1 <= said.line <= text.count("\n") + 1)


@given(st.text().filter(lambda text: "{{" not in text and "\ud800" not in text))
def test_text_without_actions_stays_as_it_is(text: str) -> None:
    assert render(text, {}) == text.encode("utf-8", "replace").decode("utf-8", "replace")
