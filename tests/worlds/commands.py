"""What tests ask of commands: that they refuse in one line, and that they bear a full disk."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cpt_dynamics.cli import main


@contextlib.contextmanager
def small_file_system(folder: Path, size: str) -> Iterator[Path]:
    """A new folder with an empty file system of `size`, such as `1m`; skips the test where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def refused(arguments: list[str], capsys: Any) -> str:
    """The one line with which a command refuses."""
    capsys.readouterr()
    assert main(arguments) == 2
    line: str = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    return line
