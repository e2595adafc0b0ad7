"""One call of a campaign on the machine that trains: `python3 slot.py --work WORK --out OUT next`.

`cpt-dynamics campaign pack` puts this file beside the parts, and it needs nothing but Python. It installs the packages
that came with it into WORK/packages, and goes on as `cpt-dynamics campaign run`, which takes the parts that came and,
once none is missing, trains the stages that are named. With no stage it does all but training.
"""

import argparse
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

INDEX = "index.json"
PACKAGE = re.compile(r"wheels/[\w+!][\w.+!-]*", re.ASCII)  # a file of the folder of packages and nothing else
DIGEST = re.compile("[0-9a-f]{64}")
INSTALLED = "installed.json"  # in the folder of packages: sha256 of each wheel


def main(arguments: Sequence[str] | None = None) -> int:
    """Install, and become `campaign run`; returns 2, after one line on stderr, where that cannot be."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description="Take what came, and train stages of a campaign.")
    parser.add_argument("--work", type=Path, required=True, help="folder that lasts between calls")
    parser.add_argument("--minutes", type=float, default=9.0, help="how long this call may take (default: 9)")
    options, others = parser.parse_known_args(arguments)
    here = Path(__file__).resolve().parent
    try:
        if not 0 < options.minutes < math.inf:
            raise ValueError(f"--minutes is {options.minutes:g}: give more than 0")
        packages = install(here, options.work.resolve())
    except (OSError, ValueError) as error:
        print(
            "error: " + "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(error)), file=sys.stderr
        )
        return 2
    minutes = max(0.1, options.minutes - (time.monotonic() - began) / 60)
    command = [sys.executable, "-m", "cpt_dynamics", "campaign", "run", *others, "--parts", str(here)]
    command += ["--work", str(options.work), "--minutes", f"{minutes:.3f}"]
    path = os.pathsep.join([str(packages), *filter(None, [os.environ.get("PYTHONPATH")])])
    sys.stdout.flush()
    os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": path})  # signals reach the one process there is


def install(folder: Path, work: Path) -> Path:
    """Install the wheels of the index into `work`/packages, unless just these are there; returns that folder."""
    wheels = _wheels(folder, work)
    packages = work / "packages"
    wanted = [wheel["sha256"] for wheel in wheels]
    if _installed(packages) == wanted:
        return packages
    files = [folder / wheel["name"] for wheel in wheels]
    for file, digest in zip(files, wanted, strict=True):
        if not file.is_file():
            raise ValueError(f"{file} is missing: send the wheels with the first part, and after a change")
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise ValueError(f"{file} came over damaged: send it again")
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="packages.") as made:
        _pip(files, made)
        (Path(made) / INSTALLED).write_text(json.dumps(wanted), encoding="utf-8")
        shutil.rmtree(packages, ignore_errors=True)
        os.rename(made, packages)
    return packages


def _installed(packages: Path) -> Any:
    """What is installed in the folder of packages; None if that cannot be said."""
    try:
        return json.loads((packages / INSTALLED).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def _wheels(folder: Path, work: Path) -> list[dict[str, Any]]:
    index = next((path for path in (folder / INDEX, work / INDEX) if path.exists()), None)
    if index is None:
        raise ValueError(f"{folder} has no {INDEX}: send it with the first part")
    try:
        wheels = list(json.loads(index.read_text(encoding="utf-8"))["wheels"])
        sound = all(PACKAGE.fullmatch(wheel["name"]) and DIGEST.fullmatch(wheel["sha256"]) for wheel in wheels)
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise ValueError(f"{index} is damaged: send it again")
    return wheels


def _pip(files: list[Path], folder: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    command += ["--no-deps", "--root-user-action", "ignore", "--target", folder, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it says nothing"]
        raise ValueError(f"pip cannot install the wheels of {files[0].parent}: {lines[-1].removeprefix('ERROR: ')}")


if __name__ == "__main__":
    sys.exit(main())
