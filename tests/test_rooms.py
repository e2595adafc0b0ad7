"""Imports point only backwards in the row of rooms, and no modules of these rooms import each other in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import cpt_dynamics

PACKAGE = Path(cpt_dynamics.__file__).parent
# Rooms from left to right; those of one entry stand beside each other.
ROW = ("config", "schedules areas", "experiments", "curves", "logs", "laws", "fitting", "planning")
BEFORE = {"errors", "files", "layout", "versions"}  # what every room may use


def place(room: str) -> int:
    return next((i for i, rooms in enumerate(ROW) if room in rooms.split()), -1 if room in BEFORE else len(ROW))


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports as it is loaded, without the package's name."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE.name:
            module = node.module.removeprefix(PACKAGE.name).lstrip(".")
            found |= {
                f"{module}.{name.name}".lstrip(".") if is_module(module, name.name) else module for name in node.names
            }
    return found - {""}


def is_module(module: str, name: str) -> bool:
    folder = PACKAGE / module.replace(".", "/")
    return (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists()


@pytest.mark.parametrize("room", ["logs", "laws", "fitting", "planning"])
def test_a_room_imports_only_what_stands_before_it(room: str) -> None:
    wrong = [
        f"{path.name} imports {module}"
        for path in (PACKAGE / room).glob("*.py")
        for module in imports(path)
        if module.split(".")[0] != room and place(module.split(".")[0]) >= place(room)
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ["logs", "laws", "fitting", "planning"])
def test_no_modules_of_a_room_import_each_other_in_a_circle(room: str) -> None:
    graph = {f"{room}.{path.stem}": imports(path) for path in (PACKAGE / room).glob("*.py") if path.stem != "__init__"}
    assert set(TopologicalSorter(graph).static_order()) >= set(graph)
