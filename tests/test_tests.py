"""What tests share lies in tests/worlds/: no test imports another one."""

import re
from pathlib import Path

import pytest
from conftest import NOT_UNIT, UNIT
from worlds import REPOSITORY

TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))
OF_A_TEST = re.compile(r"^\s*(?:from|import)\s+(?:tests\.)?test_\w+", re.MULTILINE)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_no_test_is_imported(path: Path) -> None:
    assert OF_A_TEST.findall(path.read_text(encoding="utf-8")) == []


def test_unit_tests_are_there() -> None:
    files = {path.name: path.read_text() for path in TESTS}
    assert files.keys() >= {f"{stem}.py" for stem in UNIT}
    assert [one for one in NOT_UNIT if f"def {one.partition('::')[2]}(" not in files[one.partition("::")[0]]] == []
