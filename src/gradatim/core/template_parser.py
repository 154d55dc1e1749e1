"""From the text of a query template to its parts. Functions are known by name only; values come later.

Raises `Fault`. What Go's parser refuses is refused here with the same words where users are likely to meet them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from gradatim.core.template_lexer import KEYWORDS, Fault, Token, tokens
from gradatim.core.template_literals import read_character, read_number, read_text
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

T = TypeVar("T")

DEEPEST = 40
"""Nested parentheses and blocks that are followed; no query needs a tenth of it."""

_END, _ELSE = "end", "else"
_OPERANDS = frozenset(("bool", "char", "number", "string", "raw", "nil", "dot", "field", "variable", "word", "open"))


def parse(text: str, functions: Collection[str]) -> Template:
    """A template from its text; `functions` are the names it may call. Raises Fault."""
    parser = _Parser(list(tokens(text)), functions)
    return Template(parser.whole(), parser.defined)


class _Parser:
    """Reads tokens from left to right; `at` is the next one."""

    def __init__(self, found: list[Token], functions: Collection[str]) -> None:
        self._tokens = found
        self._functions = functions
        self._at = 0
        self._variables = ["$"]
        self._loops = 0
        self._depth = 0
        self.defined: dict[str, Body] = {}

    # Tokens

    def _peek(self) -> Token:
        return self._tokens[min(self._at, len(self._tokens) - 1)]

    def _next(self) -> Token:
        token = self._peek()
        if token.kind == "fault":
            raise Fault(token.text, token.at)
        self._at += 1
        return token

    def _peek_solid(self) -> Token:
        while self._peek().kind == "space":
            self._at += 1
        return self._peek()

    def _next_solid(self) -> Token:
        self._peek_solid()
        return self._next()

    def _expect(self, kinds: Collection[str], context: str) -> Token:
        token = self._next_solid()
        if token.kind not in kinds:
            raise _unexpected(token, context)
        return token

    # Bodies

    def whole(self) -> Body:
        """The whole text, definitions put aside."""
        nodes: list[Node] = []
        while self._peek().kind != "eof":
            if self._at_definition():
                self._define()
                continue
            node = self._node()
            if isinstance(node, Token):
                raise Fault(f"unexpected {{{{{node.kind}}}}}", node.at)
            nodes.append(node)
        return tuple(nodes)

    def _at_definition(self) -> bool:
        start = self._at
        if self._next().kind == "left" and self._peek_solid().kind == "define":
            self._next()
            return True
        self._at = start
        return False

    def _define(self) -> None:
        name = self._name("define clause")
        self._expect(("right",), "define clause")
        self._keep(name, self._separate_body("define clause"))

    def _separate_body(self, context: str) -> Body:
        """A body that sees no variables and no loops of its surroundings."""
        outer = self._variables, self._loops
        self._variables, self._loops = ["$"], 0
        body, last = self._body()
        self._variables, self._loops = outer
        if last.kind != _END:
            raise Fault(f"unexpected {{{{else}}}} in {context}", last.at)
        return body

    def _keep(self, name: str, body: Body) -> None:
        known = self.defined.get(name)
        if known is None or _is_empty(known):
            self.defined[name] = body
        elif not _is_empty(body):
            raise Fault(f'multiple definition of template "{name}"', self._peek().at)

    def _body(self) -> tuple[Body, Token]:
        """Everything up to an `end` or `else`, and that."""
        nodes: list[Node] = []
        while self._peek().kind != "eof":
            node = self._node()
            if isinstance(node, Token):
                return tuple(nodes), node
            nodes.append(node)
        raise Fault("unexpected EOF", self._peek().at)

    def _node(self) -> Node | Token:
        """A piece of text or an action; the token of an `end` or `else` stands for itself."""
        token = self._next()
        if token.kind == "text":
            return Text(token.text)
        return self._action()

    def _action(self) -> Node | Token:
        token = self._peek_solid()
        match token.kind:
            case "end":
                self._next()
                self._expect(("right",), "end")
                return token
            case "else":
                self._next()
                if self._peek_solid().kind not in ("if", "with"):
                    self._expect(("right",), "else")
                return token
            case "break" | "continue":
                return self._leave()
            case "if" | "with" | "range":
                return self._control()
            case "template":
                return self._include()
            case "block":
                return self._block()
        return Show(self._pipeline("command", "right"))

    def _leave(self) -> Leave:
        token = self._next()
        self._expect(("right",), f"{{{{{token.kind}}}}}")
        if not self._loops:
            raise Fault(f"{{{{{token.kind}}}}} outside {{{{range}}}}", token.at)
        return Leave(goes_on=token.kind == "continue")

    def _control(self) -> Branch | Loop:
        word = self._next()
        known = len(self._variables)
        self._deeper(word.at)
        pipe = self._pipeline(word.kind, "right")
        self._loops += word.kind == "range"
        body, last = self._body()
        self._loops -= word.kind == "range"
        otherwise: Body = ()
        if last.kind == _ELSE:
            otherwise = self._otherwise(word.kind)
        self._depth -= 1
        del self._variables[known:]
        if word.kind == "range":
            return Loop(pipe, body, otherwise)
        return Branch(pipe, body, otherwise, sets_dot=word.kind == "with")

    def _otherwise(self, word: str) -> Body:
        """What follows an `else`; `{{else if}}` is an `if` of its own that shares our `end`."""
        following = self._tokens[self._at - 1]
        if following.kind != "right":
            following = self._peek_solid()
            if following.kind != word or word == "range":
                raise _unexpected(following, "input")
            return (self._control(),)
        body, last = self._body()
        if last.kind != _END:
            raise Fault("expected end; found {{else}}", last.at)
        return body

    def _include(self) -> Include:
        token = self._next()
        name = self._name("template clause")
        if self._peek_solid().kind == "right":
            self._next()
            return Include(name, None, token.at)
        return Include(name, self._pipeline("template clause", "right"), token.at)

    def _block(self) -> Include:
        token = self._next()
        name = self._name("block clause")
        pipe = self._pipeline("block clause", "right")
        self._deeper(token.at)
        self._keep(name, self._separate_body("block clause"))
        self._depth -= 1
        return Include(name, pipe, token.at)

    def _name(self, context: str) -> str:
        token = self._expect(("string", "raw"), context)
        return _read(read_text, token)

    def _deeper(self, at: int) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Fault(f"nested more than {DEEPEST} deep", at)

    # Pipelines

    def _pipeline(self, context: str, end: str) -> Pipe:
        start = self._peek_solid().at
        declared, assigns = self._declarations(context)
        commands: list[Command] = []
        while (token := self._peek_solid()).kind != end:
            if token.kind not in _OPERANDS:
                raise _unexpected(self._next(), context)
            commands.append(self._command())
        self._next()
        if not commands:
            raise Fault(f"missing value for {context}", token.at)
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.operands[0], Literal | Nil | Dot):
                raise Fault(f"non executable command in pipeline stage {stage}", command.at)
        return Pipe(tuple(commands), declared, assigns, start)

    def _declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        declared: list[str] = []
        while self._peek_solid().kind == "variable":
            start = self._at
            variable = self._next()
            follower = self._peek_solid()
            if follower.kind in ("declare", "assign"):
                self._next()
                self._declare(variable, declared)
                return tuple(declared), follower.kind == "assign"
            if follower.text != ",":
                self._at = start
                break
            self._next()
            self._declare(variable, declared)
            self._another(context, len(declared), follower.at)
        return tuple(declared), False

    def _declare(self, variable: Token, declared: list[str]) -> None:
        declared.append(variable.text)
        self._variables.append(variable.text)

    def _another(self, context: str, count: int, at: int) -> None:
        """After `$x,`: only a range has two variables."""
        if context != "range" or count > 1:
            raise Fault(f"too many declarations in {context}", at)
        if self._peek_solid().kind not in ("variable", "right", "close"):
            raise Fault("range can only initialize variables", at)

    def _command(self) -> Command:
        start = self._peek_solid().at
        operands: list[Operand] = []
        while True:
            self._peek_solid()
            if (operand := self._operand()) is not None:
                operands.append(operand)
            token = self._peek()
            if token.kind == "space":
                continue
            if token.kind == "pipe":
                self._next()
                break
            if token.kind in ("right", "close"):
                break
            raise _unexpected(self._next(), "operand")
        return Command(tuple(operands), start)

    def _operand(self) -> Operand | None:
        term = self._term()
        if term is None or self._peek().kind != "field":
            return term
        names: list[str] = []
        at = self._peek().at
        while self._peek().kind == "field":
            names.append(self._next().text[1:])
        match term:
            case Field():
                return Field((*term.names, *names), term.at)
            case Variable():
                return Variable(term.name, (*term.names, *names), term.at)
            case Function() | Pipe():
                return Chain(term, tuple(names), term.at)
        raise Fault("unexpected . after term", at)

    def _term(self) -> Operand | None:
        token = self._peek_solid()
        if token.kind not in _OPERANDS and token.kind != "fault":
            return None
        self._next()
        match token.kind:
            case "word":
                if token.text not in self._functions:
                    raise Fault(f'function "{token.text}" not defined', token.at)
                return Function(token.text, token.at)
            case "dot":
                return Dot(token.at)
            case "nil":
                return Nil(token.at)
            case "field":
                return Field((token.text[1:],), token.at)
            case "variable":
                return self._variable(token)
            case "open":
                self._deeper(token.at)
                pipe = self._pipeline("parenthesized pipeline", "close")
                self._depth -= 1
                return pipe
            case "bool":
                return Literal(token.text == "true", token.text, token.at)
        reader = {"char": read_character, "number": read_number}.get(token.kind, read_text)
        return Literal(_read(reader, token), token.text, token.at)

    def _variable(self, token: Token) -> Variable:
        if token.text not in self._variables:
            raise Fault(f'undefined variable "{token.text}"', token.at)
        return Variable(token.text, (), token.at)


def _read(reader: Callable[[str], T], token: Token) -> T:
    try:
        return reader(token.text)
    except ValueError as error:
        raise Fault(str(error), token.at) from error


def _unexpected(token: Token, context: str) -> Fault:
    if token.kind in KEYWORDS:
        shown = f"<{token.kind}>"
    else:
        shown = f'"{token.text}"' if len(token.text) <= 10 else f'"{token.text[:10]}"...'
    return Fault(f"unexpected {shown} in {context}", token.at)


def _is_empty(body: Body) -> bool:
    return all(isinstance(node, Text) and not node.text.strip() for node in body)
