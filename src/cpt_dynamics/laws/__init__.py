"""Formulas for losses. A law is a `Law` in the list `LAWS` of a file: a file of this folder, or one of your own.

Laws of your own come from files (`load`) and from installed packages that name a module with such a list, or the list
itself, as an entry point of the group `cpt_dynamics.laws`.
"""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from cpt_dynamics.errors import UserError
from cpt_dynamics.laws.base import Array, Constant, Features, Law, Parameter, Parameters, Term

GROUP = "cpt_dynamics.laws"
Shift = Literal["positive", "negative", "free"]

__all__ = [
    "LAWS",
    "Array",
    "Constant",
    "Features",
    "Law",
    "Parameter",
    "Parameters",
    "Shift",
    "Term",
    "everything",
    "get",
    "load",
]


def _of_the_kit() -> dict[str, Law]:
    """The laws of every file of this folder that has a list `LAWS`."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {law.name: law for module in modules for law in getattr(module, "LAWS", [])}


LAWS: dict[str, Law] = _of_the_kit()
_LOADED: dict[str, Law] = {}  # from files
_ORIGINS: dict[str, Path] = {}  # law -> its file


def load(path: str | Path) -> dict[str, Law]:
    """Run a file of Python and make the laws of its list `LAWS` known to `get`; returns them by name."""
    file = Path(path)
    if file.suffix != ".py" or not file.is_file():
        raise UserError(f"{path} is no file of Python: give one that has a list LAWS of laws")
    module = ModuleType(f"cpt_dynamics_laws_{file.stem}")
    sys.modules[module.__name__] = module  # where dataclasses look it up
    try:
        exec(compile(file.read_bytes(), str(path), "exec"), module.__dict__)
        laws = _checked(getattr(module, "LAWS", None), str(path))
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{path} cannot be run ({type(error).__name__}: {error}): correct it") from None
    for name in laws.keys() & _LOADED.keys():
        if _ORIGINS[name] != file.resolve():
            raise UserError(f"{path}: there is a law {name!r} in {_ORIGINS[name]}, too: give one of them another name")
    _LOADED.update(laws)
    _ORIGINS.update(dict.fromkeys(laws, file.resolve()))
    return laws


@cache
def _installed() -> dict[str, Law]:
    """The laws of installed packages; read only when they are asked for, as this looks at every package."""
    from importlib.metadata import entry_points  # takes longer to import than the laws, so only where it is used

    laws: dict[str, Law] = {}
    for point in entry_points(group=GROUP):
        source = f"entry point {point.name} = {point.value}"
        try:
            target = point.load()
        except Exception as error:
            raise UserError(f"{source} cannot be loaded ({error}): mend or remove that package") from None
        laws |= _checked(getattr(target, "LAWS", target), source)
    return laws


def _checked(laws: Any, source: str) -> dict[str, Law]:
    """Laws by name; `UserError` for what is no list of laws, and for the name of a law of the kit."""
    if not isinstance(laws, Iterable) or isinstance(laws, str) or not (laws := list(laws)):
        raise UserError(f"{source} has no list LAWS of laws: add one, such as LAWS = [Law(name, source, terms)]")
    for law in laws:
        if not isinstance(law, Law):
            raise UserError(f"{source}: LAWS holds a {type(law).__name__}: it must hold laws (cpt_dynamics.laws.Law)")
        if not re.fullmatch("[a-z][a-z0-9_]*", law.name):
            raise UserError(f"{source}: {law.name!r} cannot name a law: use a-z, 0-9 and _")
        if not law.terms or not all(isinstance(term, Term) for term in law.terms):
            raise UserError(f"{source}: law {law.name!r} needs terms (cpt_dynamics.laws.Term), and nothing else")
        if law.name in LAWS:
            raise UserError(f"{source}: there is a law {law.name!r} in the kit: give yours another name")
    if len({law.name for law in laws}) < len(laws):
        raise UserError(f"{source}: LAWS has two laws of one name: give one of them another name")
    return {law.name: law for law in laws}


def everything() -> dict[str, Law]:
    """The laws of the kit, of installed packages and of loaded files, by name."""
    return {**LAWS, **_installed(), **_LOADED}


def get(name: str, shift: Shift = "free") -> Law:
    """The law of that name; `shift` fixes the sign of B ("positive" on D_pt, "negative" on D_cpt)."""
    law = LAWS.get(name) or _LOADED.get(name) or _installed().get(name)
    if law is None:
        raise UserError(
            f"there is no law {name!r}: choose one of {', '.join(everything())},"
            " or name the file that defines it (--law-file FILE.py, in Python laws.load)"
        )
    if shift not in ("positive", "negative", "free"):
        raise UserError(f"shift is {shift!r}: choose positive, negative or free")
    if shift == "free" or not any(p.name == "B" and p.lower < 0 < p.upper for p in law.parameters):
        return law
    return law.bounded(B=(0.0, float("inf")) if shift == "positive" else (float("-inf"), 0.0))
