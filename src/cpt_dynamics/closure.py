"""Which source files a module depends on, so that a rule reruns when one of them changes."""

import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
# Parsing all files takes half a second, which every `snakemake -n` would wait for.
IMPORT = re.compile(
    rf"^\s*(?:from ({PACKAGE.name}[\w.]*) import (\([^)]*\)|.*)|import ({PACKAGE.name}[\w.]*))", re.MULTILINE
)
WORD = re.compile(r"\w+")
UNRELATED = {PACKAGE / "__init__.py", PACKAGE / "cli/__init__.py"}


def import_closure(*modules: str) -> list[str]:
    """Files of this package that the modules import, directly or not, sorted.

    Found in the text of the imports, wherever they stand, without running any. The package's own `__init__.py` and
    that of the commands are left out: a new version or a new command alone must not retrain anything.
    """
    found: set[Path] = set()
    left = [path for module in modules for path in _files(module)]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            left.extend(_imported(path))
    return sorted(str(path) for path in found - UNRELATED)


def _files(module: str) -> list[Path]:
    """The file of a module and the `__init__.py` of every package above it."""
    parts = module.split(".")[1:]
    found = [PACKAGE.joinpath(*parts[:n], "__init__.py") for n in range(len(parts) + 1)]
    return [path for path in (*found, PACKAGE.joinpath(*parts).with_suffix(".py")) if path.is_file()]


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    names: list[str] = []
    for package, inside, module in IMPORT.findall(path.read_text(encoding="utf-8")):
        names += [module or package, *(f"{package}.{name}" for name in WORD.findall(inside))]
    return tuple(file for name in names for file in _files(name))
