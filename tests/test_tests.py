"""What tests share lies in tests/worlds/: no test imports another one."""

import re
from pathlib import Path

import pytest
from conftest import UNIT
from worlds import REPOSITORY

TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))
OF_A_TEST = re.compile(r"^\s*(?:from|import)\s+(?:tests\.)?test_\w+", re.MULTILINE)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_no_test_is_imported(path: Path) -> None:
    assert OF_A_TEST.findall(path.read_text()) == []


def test_files_of_unit_tests_are_there() -> None:
    assert {path.stem for path in TESTS} >= UNIT
