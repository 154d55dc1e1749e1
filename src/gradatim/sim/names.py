"""What names, label keys and label values may look like, and the sentences a real server says about the others."""

from __future__ import annotations

import re
from functools import lru_cache

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"

_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_LABEL_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
    "start with an alphabetic character, and end with an alphanumeric character"
)
_QUALIFIED_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)


def _told(rule: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} (e.g. {shown}regex used for validation is '{pattern}')"


def _limit(length: int) -> str:
    return f"must be no more than {length} characters"


@lru_cache(4096)
def label(name: str) -> tuple[str, ...]:
    """One part of a DNS name, as namespaces need it."""
    wrong = [_limit(63)] if len(name) > 63 else []
    if not re.fullmatch(LABEL, name):
        if re.fullmatch(SUBDOMAIN, name):
            wrong.append("must not contain dots")
        else:
            wrong.append(_told(_LABEL_RULE, LABEL, "my-name", "123-abc"))
    return tuple(wrong)


@lru_cache(4096)
def subdomain(name: str) -> tuple[str, ...]:
    """A DNS name, as most kinds need it."""
    wrong = [_limit(253)] if len(name) > 253 else []
    if not re.fullmatch(SUBDOMAIN, name):
        wrong.append(_told(_SUBDOMAIN_RULE, SUBDOMAIN, "example.com"))
    return tuple(wrong)


@lru_cache(4096)
def label_1035(name: str) -> tuple[str, ...]:
    """One part of a DNS name that begins with a letter."""
    wrong = [_limit(63)] if len(name) > 63 else []
    if not re.fullmatch(LABEL_1035, name):
        wrong.append(_told(_LABEL_1035_RULE, LABEL_1035, "my-name", "abc-123"))
    return tuple(wrong)


@lru_cache(4096)
def path_segment(name: str) -> tuple[str, ...]:
    """Anything that can stand in a path, as RBAC kinds allow it."""
    if name in {".", ".."}:
        return (f"may not be '{name}'",)
    return tuple(f"may not contain '{character}'" for character in "/%" if character in name)


@lru_cache(4096)
def qualified(key: str) -> tuple[str, ...]:
    """A label or annotation key: `name` or `example.com/name`."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        rule = "a valid label key " + _told(_QUALIFIED_RULE, QUALIFIED, "MyName", "my.name", "123-abc")
        return (f"{rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    wrong: list[str] = []
    if slash and not prefix:
        wrong.append("prefix part must be non-empty")
    elif prefix:
        wrong.extend(f"prefix part {sentence}" for sentence in subdomain(prefix))
    if not name:
        wrong.append("name part must be non-empty")
    elif len(name) > 63:
        wrong.append(f"name part {_limit(63)}")
    if not re.fullmatch(QUALIFIED, name):
        wrong.append("name part " + _told(_QUALIFIED_RULE, QUALIFIED, "MyName", "my.name", "123-abc"))
    return tuple(wrong)


@lru_cache(4096)
def label_value(value: str) -> tuple[str, ...]:
    """The value of a label."""
    wrong = [_limit(63)] if len(value) > 63 else []
    if not re.fullmatch(VALUE, value):
        wrong.append(_told(_VALUE_RULE, VALUE, "MyValue", "my_value", "12345"))
    return tuple(wrong)
