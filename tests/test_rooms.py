"""Rooms of the package: imports point only backwards in their row, and no module imports itself in a circle."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src/cpt_dynamics"
ROW = ["errors", "files", "versions", "config", "layout", "schedules", "areas", "corpora", "experiments", "training"]
ROW += ["curves", "laws", "fitting"]
ELSEWHERE = {"training/callback.py"}  # writes curves, for people's own training


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(module: str) -> set[str]:
    """Modules of the package that a module imports, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    own = {name.partition(".")[2] for name in names if name.partition(".")[0] == PACKAGE.name}
    return {name for name in own if name in MODULES} - {"", module}


@pytest.mark.parametrize("room", ROW)
def test_imports_point_backwards(room: str) -> None:
    known = {*ROW[: ROW.index(room) + 1], ""}
    forward = {
        f"{module} -> {other}"
        for module, path in MODULES.items()
        if module.partition(".")[0] == room and str(path.relative_to(PACKAGE)) not in ELSEWHERE
        for other in imported(module)
        if other.partition(".")[0] not in known
    }
    assert forward == set()


@pytest.mark.parametrize("room", ["corpora", "experiments", "slots", "training"])
def test_no_room_has_a_circle(room: str) -> None:
    left = {name: imported(name) for name in MODULES if name.startswith(f"{room}.")}
    while free := {name for name, needed in left.items() if not needed & left.keys()}:
        left = {name: needed for name, needed in left.items() if name not in free}
    assert sorted(left) == []
