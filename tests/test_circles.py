"""No modules of the rooms of logs, laws, fits and plans import each other in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import cpt_dynamics

PACKAGE = Path(cpt_dynamics.__file__).parent


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports as it is loaded, without the package's name."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE.name:
            room = node.module.removeprefix(PACKAGE.name).lstrip(".")
            modules = {
                name.name for name in node.names if (PACKAGE / room.replace(".", "/") / f"{name.name}.py").exists()
            }
            found |= {f"{room}.{module}" for module in modules} or {room}
    return found


@pytest.mark.parametrize("room", ["logs", "laws", "fitting", "planning"])
def test_no_modules_of_a_room_import_each_other_in_a_circle(room: str) -> None:
    graph = {f"{room}.{path.stem}": imports(path) for path in (PACKAGE / room).glob("*.py") if path.stem != "__init__"}
    assert set(TopologicalSorter(graph).static_order()) >= set(graph)
