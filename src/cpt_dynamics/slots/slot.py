"""One call of a campaign on the machine that trains: `python3 slot.py --work WORK --out OUT next`.

`cpt-dynamics campaign pack` puts this file beside the parts, and it needs nothing but Python. It installs the packages
that came with it into WORK/packages, and goes on as `cpt-dynamics campaign run`, which takes the parts that came and,
once none is missing, trains the stages that are named. With no stage it does all but training.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

INDEX = "index.json"
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
        packages = install(here, options.work.resolve())
    except (OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
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
    if (packages / INSTALLED).exists() and json.loads((packages / INSTALLED).read_text(encoding="utf-8")) == wanted:
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


def _wheels(folder: Path, work: Path) -> list[dict[str, Any]]:
    index = next((path for path in (folder / INDEX, work / INDEX) if path.exists()), None)
    if index is None:
        raise ValueError(f"{folder} has no {INDEX}: send it with the first part")
    try:
        return list(json.loads(index.read_text(encoding="utf-8"))["wheels"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{index} is damaged: send it again") from None


def _pip(files: list[Path], folder: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    command += ["--no-deps", "--root-user-action", "ignore", "--target", folder, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it says nothing"]
        raise ValueError(f"pip cannot install the wheels of {files[0].parent}: {lines[-1].removeprefix('ERROR: ')}")


if __name__ == "__main__":
    sys.exit(main())
