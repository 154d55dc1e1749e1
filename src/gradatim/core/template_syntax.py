"""What a parsed query template consists of. Every node knows at which character it begins, for error messages."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

Constant: TypeAlias = bool | int | float | str


class Literal(msgspec.Struct, frozen=True):
    """A number, a text, `true` or `false`."""

    value: Constant
    source: str
    at: int


class Nil(msgspec.Struct, frozen=True):
    """`nil`."""

    at: int


class Dot(msgspec.Struct, frozen=True):
    """`.`: the value that `with` or `range` has set."""

    at: int


class Field(msgspec.Struct, frozen=True):
    """`.a.b`: entries of dot."""

    names: tuple[str, ...]
    at: int


class Variable(msgspec.Struct, frozen=True):
    """`$x`, or entries of it: `$x.a.b`."""

    name: str
    names: tuple[str, ...]
    at: int


class Function(msgspec.Struct, frozen=True):
    """A function's name, as an operand or in front of its arguments."""

    name: str
    at: int


class Chain(msgspec.Struct, frozen=True):
    """Entries of what a function or parentheses yield: `variables.key`."""

    of: Function | Pipe
    names: tuple[str, ...]
    at: int


class Command(msgspec.Struct, frozen=True):
    """An operand, or a function with its arguments."""

    operands: tuple[Operand, ...]
    at: int


class Pipe(msgspec.Struct, frozen=True):
    """Commands joined by `|`; the result goes to the variables in `declared`, new ones unless `assigns`."""

    commands: tuple[Command, ...]
    declared: tuple[str, ...]
    assigns: bool
    at: int


Operand: TypeAlias = Literal | Nil | Dot | Field | Variable | Function | Chain | Pipe


class Text(msgspec.Struct, frozen=True):
    """Text outside of actions."""

    text: str


class Show(msgspec.Struct, frozen=True):
    """`{{ pipeline }}`."""

    pipe: Pipe


class Branch(msgspec.Struct, frozen=True):
    """`{{ if }}`, or `{{ with }}` where `sets_dot`."""

    pipe: Pipe
    then: Body
    otherwise: Body
    sets_dot: bool


class Loop(msgspec.Struct, frozen=True):
    """`{{ range }}`."""

    pipe: Pipe
    body: Body
    otherwise: Body


class Leave(msgspec.Struct, frozen=True):
    """`{{ break }}`, or `{{ continue }}` where `goes_on`."""

    goes_on: bool


class Include(msgspec.Struct, frozen=True):
    """`{{ template "name" pipeline }}`."""

    name: str
    pipe: Pipe | None
    at: int


Node: TypeAlias = Text | Show | Branch | Loop | Leave | Include
Body: TypeAlias = tuple[Node, ...]


class Template(msgspec.Struct, frozen=True):
    """A whole template: its text, and what `define` and `block` have named."""

    body: Body
    defined: dict[str, Body]
