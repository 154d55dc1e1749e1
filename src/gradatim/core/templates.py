"""The `{{ }}` language of metric queries: Go's text/template, as far as queries can use it.

Values come as functions without arguments: `{{ namespace }}`, `{{ variables.kind }}`. There is no dot data. What a
template may do is bounded, since anybody who may write a MetricTemplate runs it in here. Complex numbers, `call` and
the address and hexadecimal-float verbs of `printf` are refused; everything else does what Go does.

Cutting, parsing and filling in are the modules `template_*` beside this one; only this one is meant for others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from gradatim.api.errors import GradatimError
from gradatim.core.template_functions import BUILTINS, SHORT_CIRCUIT
from gradatim.core.template_lexer import Fault
from gradatim.core.template_parser import parse
from gradatim.core.template_run import run
from gradatim.core.template_syntax import Template
from gradatim.core.template_values import Value

T = TypeVar("T")


class TemplateError(GradatimError):
    """A query template that cannot be read or filled in; `line` and `column` count from 1, `detail` is what is wrong.

    The words in front are Flagger's, its spelling included: people search their logs for them.
    """

    reason = "InvalidTemplate"

    def __init__(self, failure: str, text: str, fault: Fault) -> None:
        before = text[: fault.at]
        self.line = before.count("\n") + 1
        self.column = fault.at - before.rfind("\n")
        self.detail = fault.detail
        super().__init__(f"{failure}: line {self.line}, column {self.column}: {fault.detail}")


def render(text: str, scope: Mapping[str, Value]) -> str:
    """A template filled in with the values in `scope`, each of them a function of that name.

    Raises:
        TemplateError: it cannot be read, or asks for what is not there.
    """
    template = _parsed(text, scope.keys())
    return _located("template excution failed", text, lambda: run(template, scope))


def check(text: str, names: Collection[str]) -> None:
    """Return if a template can be read and calls nothing but Go's functions and `names`; raises TemplateError."""
    _parsed(text, names)


def _parsed(text: str, names: Collection[str]) -> Template:
    known = {*BUILTINS, *SHORT_CIRCUIT, *names}
    return _located("template parsing failed", text, lambda: parse(text, known))


def _located(failure: str, text: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except Fault as fault:
        raise TemplateError(failure, text, fault) from fault
    except RecursionError as error:
        raise TemplateError(failure, text, Fault("nested too deeply", 0)) from error
