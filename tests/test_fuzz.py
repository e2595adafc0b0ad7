"""A few inputs for all that reads files: each is a result or one line. `make fuzz` tries many."""

import contextlib
import shutil
from pathlib import Path

import pytest
from fuzz.readers import READERS, Reader, found, make
from fuzz.run import fuzz, outcome

INPUTS = 10


@pytest.fixture(scope="session")
def readable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readable")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        make(folder)
    return folder


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_an_input_is_read_or_refused_in_one_line(reader: Reader, readable: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    shutil.copytree(readable, here, symlinks=True)
    with contextlib.chdir(here):
        valid = found(reader.seed or reader.file).read_bytes()
        assert outcome(reader, valid, stated=True) is None  # else nothing but the refusal of what is missing is tried
    assert not fuzz(reader, readable, INPUTS, 1, tmp_path / "world").failures


def test_what_fails_is_found(readable: Path, tmp_path: Path) -> None:
    careless = Reader(
        "careless", "schedule.txt", lambda: Path("schedule.txt").read_text(encoding="utf-8").index("warm")
    )
    assert {kind.partition(" ")[0] for kind in fuzz(careless, readable, 200, 1, tmp_path / "world").failures} == {
        "UnicodeDecodeError",
        "ValueError",
    }
