"""Fills a parsed query template in with values. Raises `Fault` where the template and the values do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import assert_never

from gradatim.core.template_functions import BUILTINS, SHORT_CIRCUIT, Builtin, is_true
from gradatim.core.template_lexer import Fault
from gradatim.core.template_printf import shown
from gradatim.core.template_syntax import (
    Body,
    Branch,
    Chain,
    Command,
    Dot,
    Field,
    Function,
    Include,
    Leave,
    Literal,
    Loop,
    Nil,
    Node,
    Operand,
    Pipe,
    Show,
    Template,
    Text,
    Variable,
)
from gradatim.core.template_values import Byte, Value, to_bytes, type_name

BUDGET = 1_000_000
"""Steps taken plus characters made until a template counts as endless: anybody who may write one runs it in here."""


class _Break(Exception):
    """`{{ break }}`."""


class _Continue(Exception):
    """`{{ continue }}`."""


class _Absent:
    """No value comes from an earlier stage of the pipeline; `nil` would be one."""


_ABSENT = _Absent()


def run(template: Template, scope: Mapping[str, Value]) -> str:
    """The text of a template. Raises Fault."""
    runner = _Runner(template.defined, scope)
    runner.body(template.body, None, _Variables(None))
    return to_bytes("".join(runner.out)).decode("utf-8", "replace")


class _Variables:
    """The variables in sight; those of inner blocks stand behind and hide those of outer ones."""

    def __init__(self, dollar: Value) -> None:
        self._entries: list[tuple[str, Value]] = [("$", dollar)]

    def mark(self) -> int:
        """How many there are, for `reset`."""
        return len(self._entries)

    def reset(self, mark: int) -> None:
        """Forget those made since."""
        del self._entries[mark:]

    def get(self, name: str, at: int) -> Value:
        """The value of a variable."""
        return self._entries[self._place(name, at)][1]

    def declare(self, name: str, value: Value) -> None:
        """Make a new one."""
        self._entries.append((name, value))

    def set(self, name: str, value: Value, at: int) -> None:
        """Change one."""
        self._entries[self._place(name, at)] = (name, value)

    def _place(self, name: str, at: int) -> int:
        for place in reversed(range(len(self._entries))):
            if self._entries[place][0] == name:
                return place
        raise Fault(f"undefined variable: {name}", at)


class _Runner:
    """Collects the text in `out`."""

    def __init__(self, defined: Mapping[str, Body], scope: Mapping[str, Value]) -> None:
        self.out: list[str] = []
        self._defined = defined
        self._scope = scope
        self._left = BUDGET

    def _spend(self, amount: int, at: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise Fault("takes too long or becomes too large", at)

    # Nodes

    def body(self, body: Body, dot: Value, variables: _Variables) -> None:
        """Everything in a body, in order."""
        for node in body:
            self._node(node, dot, variables)

    def _node(self, node: Node, dot: Value, variables: _Variables) -> None:
        match node:
            case Text():
                self._spend(len(node.text), 0)
                self.out.append(node.text)
            case Show():
                value = self._pipe(node.pipe, dot, variables)
                if not node.pipe.declared:
                    self.out.append("<no value>" if value is None else shown(value))
            case Branch():
                self._branch(node, dot, variables)
            case Loop():
                self._loop(node, dot, variables)
            case Leave():
                raise _Continue if node.goes_on else _Break
            case Include():
                self._include(node, dot, variables)
            case never:
                assert_never(never)

    def _branch(self, node: Branch, dot: Value, variables: _Variables) -> None:
        mark = variables.mark()
        value = self._pipe(node.pipe, dot, variables)
        if is_true(value):
            self.body(node.then, value if node.sets_dot else dot, variables)
        else:
            self.body(node.otherwise, dot, variables)
        variables.reset(mark)

    def _loop(self, node: Loop, dot: Value, variables: _Variables) -> None:
        outer = variables.mark()
        value = self._pipe(node.pipe, dot, variables)
        mark, ran = variables.mark(), False
        try:
            for key, element in _rounds(value, node.pipe):
                ran = True
                self._spend(1, node.pipe.at)
                _hand_over(node.pipe, key, element, variables)
                with suppress(_Continue):
                    self.body(node.body, element, variables)
                variables.reset(mark)
        except _Break:
            pass
        if not ran:
            self.body(node.otherwise, dot, variables)
        variables.reset(outer)

    def _include(self, node: Include, dot: Value, variables: _Variables) -> None:
        body = self._defined.get(node.name)
        if body is None:
            raise Fault(f'template "{node.name}" not defined', node.at)
        self._spend(1, node.at)
        value = None if node.pipe is None else self._pipe(node.pipe, dot, variables)
        self.body(body, value, _Variables(value))

    # Pipelines

    def _pipe(self, pipe: Pipe, dot: Value, variables: _Variables) -> Value:
        value: Value | _Absent = _ABSENT
        for command in pipe.commands:
            value = self._command(command, value, dot, variables)
            self._spend(1 + (len(value) if isinstance(value, str) else 0), command.at)
        result = None if isinstance(value, _Absent) else value
        for name in pipe.declared:
            if pipe.assigns:
                variables.set(name, result, pipe.at)
            else:
                variables.declare(name, result)
        return result

    def _command(self, command: Command, final: Value | _Absent, dot: Value, variables: _Variables) -> Value:
        first, *rest = command.operands
        if isinstance(first, Function):
            return self._function(first, rest, final, dot, variables)
        if isinstance(first, Nil):
            raise Fault("nil is not a command", first.at)
        if rest or not isinstance(final, _Absent):
            if isinstance(first, Field | Chain) or (isinstance(first, Variable) and first.names):
                self._operand(first, dot, variables)  # a missing entry is the better message
                raise Fault(f"{first.names[-1]} is not a method but has arguments", first.at)
            raise Fault("can't give argument to non-function", first.at)
        return self._operand(first, dot, variables)

    def _operand(self, operand: Operand, dot: Value, variables: _Variables) -> Value:
        match operand:
            case Literal():
                return operand.value
            case Nil():
                return None
            case Dot():
                return dot
            case Field():
                return _entries(dot, operand.names, operand.at)
            case Variable():
                return _entries(variables.get(operand.name, operand.at), operand.names, operand.at)
            case Function():
                return self._function(operand, (), _ABSENT, dot, variables)
            case Chain():
                return _entries(self._operand(operand.of, dot, variables), operand.names, operand.at)
            case Pipe():
                return self._pipe(operand, dot, variables)
            case never:
                assert_never(never)

    # Functions

    def _function(
        self, function: Function, rest: Sequence[Operand], final: Value | _Absent, dot: Value, variables: _Variables
    ) -> Value:
        given = len(rest) + (not isinstance(final, _Absent))
        if function.name in self._scope:
            if given:
                raise Fault(f"wrong number of args for {function.name}: want 0 got {given}", function.at)
            return self._scope[function.name]
        if function.name in SHORT_CIRCUIT:
            return self._short_circuit(function, rest, final, dot, variables)
        builtin = BUILTINS[function.name]
        _check_count(function, builtin, given)
        values = [self._operand(operand, dot, variables) for operand in rest]
        if not isinstance(final, _Absent):
            values.append(final)
        if builtin.text_first and not isinstance(values[0], str):
            raise Fault(f"wrong type for value; expected string; got {type_name(values[0])}", function.at)
        try:
            return builtin.call(values)
        except ValueError as error:
            raise Fault(f"error calling {function.name}: {error}", function.at) from error

    def _short_circuit(
        self, function: Function, rest: Sequence[Operand], final: Value | _Absent, dot: Value, variables: _Variables
    ) -> Value:
        """`and`, `or`: the first value that decides, else the last; what follows the deciding one is not evaluated."""
        value: Value | _Absent = _ABSENT
        for operand in rest:
            value = self._operand(operand, dot, variables)
            if is_true(value) == (function.name == "or"):
                return value
        value = value if isinstance(final, _Absent) else final
        if isinstance(value, _Absent):
            raise Fault(f"wrong number of args for {function.name}: want at least 1 got 0", function.at)
        return value


def _check_count(function: Function, builtin: Builtin, given: int) -> None:
    if given < builtin.fewest or (builtin.most is not None and given > builtin.most):
        wanted = f"{builtin.fewest}" if builtin.most == builtin.fewest else f"at least {builtin.fewest}"
        raise Fault(f"wrong number of args for {function.name}: want {wanted} got {given}", function.at)


def _entries(value: Value, names: tuple[str, ...], at: int) -> Value:
    """`value.a.b`."""
    for name in names:
        if value is None:
            raise Fault(f'nil data; no entry for key "{name}"', at)
        if not isinstance(value, Mapping):
            raise Fault(f"can't evaluate field {name} in type {type_name(value)}", at)
        if name not in value:
            raise Fault(f'map has no entry for key "{name}"', at)
        value = value[name]
    return value


def _hand_over(pipe: Pipe, key: Value, element: Value, variables: _Variables) -> None:
    """Give a loop's variables their values: with two the key comes first, a single one is the element."""
    for name, value in zip(reversed(pipe.declared), (element, key), strict=False):
        if pipe.assigns:
            variables.set(name, value, pipe.at)
        else:
            variables.declare(name, value)


def _rounds(value: Value, pipe: Pipe) -> Iterable[tuple[Value, Value]]:
    """What a loop goes over: keys and elements of a map in order, or the numbers below a number."""
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return ((key, value[key]) for key in sorted(value, key=to_bytes))
    if isinstance(value, int) and not isinstance(value, bool):
        if len(pipe.declared) > 1:
            raise Fault(f"can't use {value} to iterate over more than one variable", pipe.at)
        number = Byte if isinstance(value, Byte) else int
        return ((None, number(count)) for count in range(value))
    raise Fault(f"range can't iterate over {shown(value)}", pipe.at)
