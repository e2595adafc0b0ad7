"""Paths into results, `fig03.fits.general.chosen.r2`: checked against the type of a result, and followed in one."""

import enum
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, StringConstraints

from cpt_dynamics.errors import UserError

EVERY = "*"
Step = tuple[str, Any, Any]  # the keys that the `*` stands for, what lies at the last `*`, the value


def check(kind: type[BaseModel], path: str, statement: bool, where: str) -> None:
    """Raise `UserError` unless `path` leads to a number (or a statement) in every result of the type `kind`."""
    found: list[Any] = [kind]
    for key in path.split(".")[1:]:
        found = [inner for one in found for inner in _inside(one, key)]
        if not found:
            raise UserError(f"{where}: {path!r} is not in the result of {path.partition('.')[0]} (no key {key!r})")
    wanted = (bool,) if statement else (int, float)
    if not any(one in wanted for one in found):
        what = "statement" if statement else "number"
        raise UserError(f"{where}: {path!r} is no {what}: end the path at one")


def _inside(kind: Any, key: str) -> list[Any]:
    """The types of what lies under a key of a type, alternatives apart; empty if it has no such key."""
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if key in (name, field.alias):
                return _alternatives(field.annotation)
        return []
    if origin in (dict, Mapping):
        return _alternatives(arguments[1]) if key == EVERY or _is_key(arguments[0], key) else []
    if origin in (list, tuple, Sequence):
        return _alternatives(arguments[0]) if key == EVERY else []
    return []


def _alternatives(kind: Any) -> list[Any]:
    if get_origin(kind) is Annotated:
        return _alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [inner for one in get_args(kind) for inner in _alternatives(one)]
    return [kind]


def _is_key(kind: Any, key: str) -> bool:
    if get_origin(kind) is Annotated:
        rules = [rule.pattern for rule in get_args(kind)[1:] if isinstance(rule, StringConstraints)]
        return all(rule is None or re.search(rule, key) for rule in rules)
    if get_origin(kind) is Literal:
        return key in map(str, get_args(kind))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return key in [str(member.value) for member in kind]
    return key.isdigit() if kind is int else True


def follow(result: BaseModel, path: str) -> Iterator[Step]:
    """Every value that a path leads to; a key that a result of this scale lacks ends at None."""
    yield from _follow(result, path.split(".")[1:], (), result)


def _follow(value: Any, keys: list[str], passed: tuple[str, ...], item: Any) -> Iterator[Step]:
    if not keys or value is None:
        yield ".".join(passed), item, value
        return
    key, *rest = keys
    if key == EVERY:
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, inner in pairs:
            yield from _follow(inner, rest, (*passed, str(name)), inner)
    elif isinstance(value, Mapping):
        yield from _follow({str(k): v for k, v in value.items()}.get(key), rest, passed, item)
    else:
        names = {field.alias or name: name for name, field in type(value).model_fields.items()}
        yield from _follow(getattr(value, names.get(key, key)), rest, passed, item)
