"""Makes a function of an expression, and calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from gradatim.sim.cel.functions import FUNCTIONS, MACROS, METHODS, Duration, Failed, Optional, no_overload
from gradatim.sim.cel.syntax import Call, Index, ListOf, Literal, MapOf, Name, Node, Select, Unsupported, parse

Scope: TypeAlias = dict[str, Any]
Evaluate: TypeAlias = Callable[[Scope], Any]

__all__ = ["Failed", "Program", "compile_rule"]


class Program(msgspec.Struct, frozen=True):
    """An expression ready to be evaluated."""

    evaluate: Evaluate
    names: frozenset[str]

    def value(self, scope: Scope) -> Any:
        """Its value for these variables; Failed if it has none."""
        try:
            return self.evaluate(scope)
        except RecursionError:
            raise Failed("expression is nested too deeply") from None


@lru_cache(2048)
def compile_rule(text: str) -> Program:
    """Read an expression; Unsupported if something in it is not known here."""
    names: set[str] = set()
    return Program(_compile(parse(text), names), frozenset(names))


def _compile(node: Node, names: set[str]) -> Evaluate:
    match node:
        case Literal(value):
            return lambda _scope: value
        case Name(name):
            names.add(name)
            return lambda scope: _variable(scope, name)
        case Select(of, field, optional):
            inner = _compile(of, names)
            if optional:
                return lambda scope: _perhaps(inner(scope), field)
            return lambda scope: _select(inner(scope), field)
        case Index(of, at):
            inner, index = _compile(of, names), _compile(at, names)
            return lambda scope: _index(inner(scope), index(scope))
        case ListOf(items):
            made = [_compile(one, names) for one in items]
            return lambda scope: [one(scope) for one in made]
        case MapOf(items):
            pairs = [(_compile(key, names), _compile(value, names)) for key, value in items]
            return lambda scope: {key(scope): value(scope) for key, value in pairs}
        case Call():
            return _call(node, names)
    raise Unsupported(f"unknown part {node!r}")


def _call(node: Call, names: set[str]) -> Evaluate:
    function = node.function
    if node.on is not None:
        return _method(node, node.on, names)
    if function == "has":
        return _has(node, names)
    arguments = [_compile(one, names) for one in node.arguments]
    if function in _LAZY:
        lazy = _LAZY[function]
        return lambda scope: lazy(scope, arguments)
    if function in _OPERATORS:
        operator = _OPERATORS[function]
        return lambda scope: operator(*(one(scope) for one in arguments))
    if function in FUNCTIONS:
        called = FUNCTIONS[function]
        return lambda scope: _called(called, [one(scope) for one in arguments])
    raise Unsupported(f"unknown function {function}")


def _method(node: Call, on: Node, names: set[str]) -> Evaluate:
    if node.function in MACROS and len(node.arguments) >= 2 and isinstance(node.arguments[0], Name):
        return _macro(node, on, names)
    if isinstance(on, Name) and on.name == "optional":
        arguments = [_compile(one, names) for one in node.arguments]
        return lambda scope: Optional(*(one(scope) for one in arguments), there=node.function == "of")
    if node.function not in METHODS:
        raise Unsupported(f"unknown method {node.function}")
    called, inner = METHODS[node.function], _compile(on, names)
    arguments = [_compile(one, names) for one in node.arguments]
    return lambda scope: _called(called, [inner(scope), *(one(scope) for one in arguments)])


def _called(function: Callable[..., Any], arguments: list[Any]) -> Any:
    try:
        return function(*arguments)
    except (TypeError, AttributeError, ValueError):
        raise no_overload() from None


def _has(node: Call, names: set[str]) -> Evaluate:
    (selected,) = node.arguments
    if not isinstance(selected, Select):
        raise Unsupported("has() of something that is no field")
    inner, field = _compile(selected.of, names), selected.field
    return lambda scope: field in _mapping(inner(scope))


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise no_overload()
    return value


def _macro(node: Call, on: Node, names: set[str]) -> Evaluate:
    variable, *bodies = node.arguments
    name = variable.name if isinstance(variable, Name) else ""
    items, made = _compile(on, names), [_compile(one, names) for one in bodies]
    names.discard(name)
    kind = node.function

    def each(scope: Scope) -> Iterable[tuple[Any, Scope]]:
        found = items(scope)
        if not isinstance(found, list | dict):
            raise no_overload()
        return ((one, scope | {name: one}) for one in found)

    test = made[0]
    if kind == "all":
        return lambda scope: _all(test, (inner for _, inner in each(scope)), wanted=True)
    if kind == "exists":
        return lambda scope: not _all(test, (inner for _, inner in each(scope)), wanted=False)
    if kind in ("exists_one", "existsOne"):
        return lambda scope: sum(1 for _, inner in each(scope) if test(inner) is True) == 1
    if kind == "filter":
        return lambda scope: [one for one, inner in each(scope) if test(inner) is True]
    if len(made) == 1:
        return lambda scope: [test(inner) for _, inner in each(scope)]
    return lambda scope: [made[1](inner) for _, inner in each(scope) if test(inner) is True]


def _all(test: Evaluate, scopes: Iterable[Scope], *, wanted: bool) -> bool:
    """Whether all come out as wanted; one that does not outweighs any that fail."""
    failure: Failed | None = None
    for scope in scopes:
        try:
            if test(scope) is not wanted:
                return False
        except Failed as error:
            failure = error
    if failure is not None:
        raise failure
    return True


def _variable(scope: Scope, name: str) -> Any:
    if name in scope:
        return scope[name]
    raise Failed(f"no such attribute(s): {name}")


def _select(of: Any, field: str) -> Any:
    if isinstance(of, Optional):
        return _perhaps(of.value, field) if of.there else of
    if not isinstance(of, dict):
        raise no_overload()
    if field not in of:
        raise Failed(f"no such key: {field}")
    return of[field]


def _perhaps(of: Any, field: str) -> Optional:
    if isinstance(of, Optional):
        of = of.value if of.there else {}
    return Optional(of[field], there=True) if isinstance(of, dict) and field in of else Optional()


def _index(of: Any, at: Any) -> Any:
    if isinstance(of, dict):
        if at not in of:
            raise Failed(f"no such key: {at}")
        return of[at]
    if not isinstance(of, list) or not isinstance(at, int):
        raise no_overload()
    if not 0 <= at < len(of):
        raise Failed(f"index out of bounds: {at}")
    return of[at]


def _and_or(scope: Scope, arguments: list[Evaluate], *, decisive: bool) -> bool:
    """`&&` and `||`: one side can decide although the other fails."""
    failure: Failed | None = None
    for one in arguments:
        try:
            value = one(scope)
        except Failed as error:
            failure = error
            continue
        if not isinstance(value, bool):
            failure = no_overload()
        elif value is decisive:
            return decisive
    if failure is not None:
        raise failure
    return not decisive


def _choose(scope: Scope, arguments: list[Evaluate]) -> Any:
    condition = arguments[0](scope)
    if not isinstance(condition, bool):
        raise no_overload()
    return arguments[1 if condition else 2](scope)


_LAZY: dict[str, Callable[[Scope, list[Evaluate]], Any]] = {
    "&&": lambda scope, arguments: _and_or(scope, arguments, decisive=False),
    "||": lambda scope, arguments: _and_or(scope, arguments, decisive=True),
    "?:": _choose,
}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    return bool(one == other)


def _not(value: Any) -> bool:
    if not isinstance(value, bool):
        raise no_overload()
    return not value


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def called(one: Any, other: Any) -> bool:
        numbers = isinstance(one, int | float) and isinstance(other, int | float)
        if not numbers and (type(one) is not type(other) or not isinstance(one, str | datetime)):
            raise no_overload()
        return compare(one, other)

    return called


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def called(one: Any, other: Any) -> Any:
        if isinstance(one, bool) or isinstance(other, bool):
            raise no_overload()
        try:
            made = compute(one, other)
        except ZeroDivisionError:
            raise Failed("division by zero") from None
        except TypeError:
            raise no_overload() from None
        return Duration(made) if isinstance(one, Duration) and isinstance(made, float) else made

    return called


def _divide(one: Any, other: Any) -> Any:
    return int(one / other) if isinstance(one, int) and isinstance(other, int) else one / other


def _in(one: Any, other: Any) -> bool:
    if not isinstance(other, list | dict):
        raise no_overload()
    return any(_equal(one, item) for item in other)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "==": _equal,
    "!=": lambda one, other: not _equal(one, other),
    "!": _not,
    "<": _ordered(lambda one, other: one < other),
    "<=": _ordered(lambda one, other: one <= other),
    ">": _ordered(lambda one, other: one > other),
    ">=": _ordered(lambda one, other: one >= other),
    "+": _arithmetic(lambda one, other: one + other),
    "-": _arithmetic(lambda one, other: one - other),
    "*": _arithmetic(lambda one, other: one * other),
    "/": _arithmetic(_divide),
    "%": _arithmetic(lambda one, other: one - int(one / other) * other),
    "in": _in,
}
