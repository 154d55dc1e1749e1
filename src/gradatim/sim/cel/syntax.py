"""Reads an expression into a tree."""

from __future__ import annotations

import ast
import re
from typing import Any, TypeAlias

import msgspec


class Unsupported(Exception):
    """Something in an expression that is not known here."""


class Misspelt(Unsupported):
    """Something that is no expression at all."""


class Literal(msgspec.Struct, frozen=True):
    """A value that stands for itself."""

    value: Any


class Name(msgspec.Struct, frozen=True):
    """A variable."""

    name: str


class Select(msgspec.Struct, frozen=True):
    """A field of something: `self.spec`."""

    of: Node
    field: str
    optional: bool = False


class Index(msgspec.Struct, frozen=True):
    """An item of something: `self.rules[0]`."""

    of: Node
    at: Node


class Call(msgspec.Struct, frozen=True):
    """A function, or a method of `on`."""

    function: str
    arguments: tuple[Node, ...]
    on: Node | None = None


class ListOf(msgspec.Struct, frozen=True):
    """A list written out."""

    items: tuple[Node, ...]


class MapOf(msgspec.Struct, frozen=True):
    """A map written out."""

    items: tuple[tuple[Node, Node], ...]


Node: TypeAlias = "Literal | Name | Select | Index | Call | ListOf | MapOf"

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>0x[0-9a-fA-F]+u?|\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+u?)
      | (?P<string>[rR]?(?:'''(?:\\.|[^\\])*?'''|\"{3}(?:\\.|[^\\])*?\"{3}|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))
      | (?P<name>[A-Za-z_]\w*)
      | (?P<operator>&&|\|\||==|!=|<=|>=|\.\?|[-+*/%!<>?:.,()\[\]{}])
      | (?P<end>$)
    )""",
    re.VERBOSE,
)
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_LEVELS = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">=", "in"), ("+", "-"), ("*", "/", "%"))


def parse(text: str) -> Node:
    """The tree of an expression."""
    parser = _Parser(text)
    node = parser.ternary()
    if parser.token:
        raise Misspelt(f"unexpected {parser.token!r}")
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self.token, self._kind = "", ""
        self._next()

    def _next(self) -> str:
        before = self.token
        match = _TOKEN.match(self._text, self._at)
        if not match:
            raise Misspelt(f"cannot read {self._text[self._at : self._at + 20]!r}")
        self._at = match.end()
        self._kind = match.lastgroup or ""
        self.token = match[self._kind]
        return before

    def _take(self, token: str) -> bool:
        if self._kind == "string" or self.token != token:
            return False
        self._next()
        return True

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise Misspelt(f"expected {token!r}, found {self.token!r}")

    def ternary(self) -> Node:
        """`condition ? one : other`, or less."""
        node = self._binary(0)
        if self._take("?"):
            one = self.ternary()
            self._expect(":")
            return Call("?:", (node, one, self.ternary()))
        return node

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._binary(level + 1)
        while self._kind != "string" and self.token in _LEVELS[level]:
            operator = self._next()
            node = Call(operator, (node, self._binary(level + 1)))
        return node

    def _unary(self) -> Node:
        if self._take("!"):
            return Call("!", (self._unary(),))
        if self._take("-"):
            return Call("-", (Literal(0), self._unary()))
        return self._member()

    def _member(self) -> Node:
        node = self._primary()
        while self._kind == "operator":
            if self._take("."):
                node = self._after_dot(node, optional=False)
            elif self._take(".?"):
                node = self._after_dot(node, optional=True)
            elif self._take("["):
                node = Index(node, self.ternary())
                self._expect("]")
            else:
                break
        return node

    def _after_dot(self, node: Node, *, optional: bool) -> Node:
        if self._kind != "name":
            raise Misspelt(f"expected a name, found {self.token!r}")
        name = self._next()
        if self._take("("):
            return Call(name, self._until(")"), node)
        return Select(node, _unescaped(name), optional)

    def _until(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._take(end):
            found.append(self.ternary())
            if not self._take(","):
                self._expect(end)
                break
        return tuple(found)

    def _primary(self) -> Node:
        if self._kind == "number":
            return Literal(_number(self._next()))
        if self._kind == "string":
            return Literal(_string(self._next()))
        if self._kind == "name":
            name = self._next()
            if name in _WORDS:
                return Literal(_WORDS[name])
            return Call(name, self._until(")")) if self._take("(") else Name(name)
        if self._take("("):
            node = self.ternary()
            self._expect(")")
            return node
        if self._take("["):
            return ListOf(self._until("]"))
        if self._take("{"):
            return self._map()
        raise Misspelt(f"unexpected {self.token or 'end'!r}")

    def _map(self) -> Node:
        items: list[tuple[Node, Node]] = []
        while not self._take("}"):
            key = self.ternary()
            self._expect(":")
            items.append((key, self.ternary()))
            if not self._take(","):
                self._expect("}")
                break
        return MapOf(tuple(items))


def _number(text: str) -> int | float:
    plain = text.removesuffix("u")
    return int(plain, 0) if re.fullmatch(r"0x[0-9a-fA-F]+|\d+", plain) else float(plain)


def _string(text: str) -> str:
    return str(ast.literal_eval(text))


def _unescaped(name: str) -> str:
    """A field whose name is a reserved word, or has characters that CEL has no room for, is written escaped."""
    if re.fullmatch(r"__[a-z]+__", name) and name not in ("__dot__", "__dash__", "__slash__", "__underscores__"):
        return name[2:-2]
    for written, meant in (("__dot__", "."), ("__dash__", "-"), ("__slash__", "/"), ("__underscores__", "__")):
        name = name.replace(written, meant)
    return name
