"""The rooms of the package stand in the row that CONTRIBUTING.md states, and imports point only backwards in it."""

import ast
import re
from pathlib import Path

import pytest
from worlds import REPOSITORY

PACKAGE = REPOSITORY / "src/cpt_dynamics"
PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text()


def stated() -> dict[str, int]:
    """Room -> its place in the row; an annex stands right behind the room that its line names."""
    (row,) = re.findall(r"```\n(interrupt [\w,>\s-]+)```", PAGE)
    places = {room: place for place, group in enumerate(row.split("->")) for room in re.findall(r"\w+", group)}
    annexes = re.findall(r"^- `(\w+)/?` \(annex, behind `(\w+)`\)", PAGE, flags=re.MULTILINE)
    return places | {annex: places[behind] for annex, behind in annexes}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[Path]:
    """Modules of the package that a module imports, wherever in it, but for the checker of types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    parts = [name.split(".")[1:] for name in names if name.startswith("cpt_dynamics.")]
    files = [PACKAGE.joinpath(*p).with_suffix(".py") for p in parts] + [
        PACKAGE.joinpath(*p, "__init__.py") for p in parts
    ]
    return {file for file in files if file.is_file() and file != path}


MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted({room_of(path) for path in MODULES} - {"__init__", "__main__"})


def test_every_room_is_stated() -> None:
    assert sorted(stated()) == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_backwards(room: str) -> None:
    places = stated()
    wrong = [
        f"{path.relative_to(PACKAGE)} -> {other.relative_to(PACKAGE)}"
        for path in MODULES
        if room_of(path) == room
        for other in imported(path)
        if room_of(other) not in (room, "__init__") and places[room_of(other)] >= places[room]
        if not (places[room_of(other)] == places[room] and room_of(other) in annexed_to(room))
    ]
    assert wrong == []


def annexed_to(room: str) -> list[str]:
    """The room that an annex stands behind; an annex may import it, and the row never imports an annex."""
    return re.findall(rf"^- `{room}/?` \(annex, behind `(\w+)`\)", PAGE, flags=re.MULTILINE)


def test_no_circle_of_modules() -> None:
    graph = {path: imported(path) - {PACKAGE / "__init__.py"} for path in MODULES}
    done: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]) -> None:
        names = [str(one.relative_to(PACKAGE)) for one in above[above.index(path) :]] if path in above else []
        assert path not in above, " -> ".join(names)
        if path in done:
            return
        for other in sorted(graph[path]):
            if other.name != "__init__.py" or other.parent not in path.parents:  # a package's face sees its own modules
                visit(other, (*above, path))
        done.add(path)

    for path in MODULES:
        visit(path, ())
