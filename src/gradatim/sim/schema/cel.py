"""The rules in a schema: where they stand, and whether an object keeps them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import msgspec

from gradatim.sim.cel import Failed, Program, Unsupported, compile_rule
from gradatim.sim.refusals import Cause, duplicate, forbidden_field, invalid, required
from gradatim.sim.schema import model
from gradatim.sim.schema.check import NOWHERE
from gradatim.sim.schema.model import Schema
from gradatim.sim.schema.structural import Rule

log = logging.getLogger(__name__)

_reported: set[str] = set()


class Compiled(msgspec.Struct, frozen=True):
    """A rule with its programs."""

    rule: Rule
    program: Program
    message: Program | None


class Rules(msgspec.Struct, frozen=True):
    """Every rule below one value: its own, those of its fields, those of its items."""

    own: tuple[Compiled, ...]
    fields: dict[str, Rules]
    item: Rules | None
    scalar: bool
    kind: str

    def __bool__(self) -> bool:
        """Whether there is any rule at all."""
        return bool(self.own or self.fields or self.item)

    @classmethod
    def of(cls, schema: Schema) -> Rules:
        """The rules of a schema; what cannot be evaluated here is reported once and left out."""
        fields = {key: cls.of(one) for key, one in schema.properties.items()}
        item = cls.of(schema.item) if schema.item is not None else None
        return cls(
            tuple(made for rule in schema.rules if (made := _compiled(rule))),
            {key: one for key, one in fields.items() if one},
            item if item else None,
            schema.kind not in (model.OBJECT, model.MAP, model.LIST),
            schema.type or "object",
        )

    def check(self, value: Any, old: Any = None, path: str = "") -> Iterator[Cause]:
        """What an object breaks; `old` is what it was, or None."""
        if value is None:
            return
        for one in self.own:
            if "oldSelf" in one.program.names and old is None:
                continue
            if old is not None and "oldSelf" not in one.program.names and value == old:
                continue
            yield from self._check_one(one, value, old, path)
        if isinstance(value, dict):
            before = old if isinstance(old, dict) else {}
            for key, deeper in self.fields.items():
                if key in value:
                    yield from deeper.check(value[key], before.get(key), f"{path}.{key}" if path else key)
            if self.item is not None:
                for key in value.keys() - self.fields.keys():
                    yield from self.item.check(value[key], before.get(key), f"{path}[{key}]")
        elif isinstance(value, list) and self.item is not None:
            for index, item in enumerate(value):
                yield from self.item.check(item, None, f"{path}[{index}]")

    def _check_one(self, one: Compiled, value: Any, old: Any, path: str) -> Iterator[Cause]:
        rule, where = one.rule, path or NOWHERE
        scope = {"self": value} | ({"oldSelf": old} if old is not None else {})
        try:
            kept = one.program.value(scope)
        except Failed as error:
            yield invalid(where, self.kind, f"{error} evaluating rule: {_shown(rule)}")
            return
        if kept is True:
            return
        if rule.field_path:
            where = f"{path}{rule.field_path}" if path else rule.field_path.removeprefix(".")
        yield self._cause(rule, where, value, _detail(one, scope))

    def _cause(self, rule: Rule, where: str, value: Any, detail: str) -> Cause:
        match rule.reason:
            case "FieldValueForbidden":
                return forbidden_field(where, detail)
            case "FieldValueRequired":
                return required(where, detail)
            case "FieldValueDuplicate":
                return duplicate(where, value)
        if self.scalar:
            return invalid(where, value, detail)
        return Cause("FieldValueInvalid", where, f"Invalid value: {detail}")


def _compiled(rule: Rule) -> Compiled | None:
    try:
        message = compile_rule(rule.message_expression) if rule.message_expression else None
        return Compiled(rule, compile_rule(rule.rule), message)
    except Unsupported as error:
        if rule.rule not in _reported:
            _reported.add(rule.rule)
            log.warning("validation rule is not evaluated: %s: %s", error, rule.rule)
        return None


def _shown(rule: Rule) -> str:
    return (rule.message or rule.rule).strip()


def _detail(one: Compiled, scope: dict[str, Any]) -> str:
    if one.message is not None:
        try:
            return str(one.message.value(scope))
        except Failed:
            pass
    return one.rule.message.strip() or f"failed rule: {one.rule.rule.strip()}"
