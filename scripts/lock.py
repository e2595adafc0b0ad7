"""Resolve the dependencies of pyproject.toml into requirements.lock; carry its versions into environment.yml.

    python scripts/lock.py             # keep every version that still fits, add and drop what changed
    python scripts/lock.py --upgrade   # take the newest versions that fit

Nothing is installed. What only one platform's build of torch needs (CUDA libraries, triton) is pinned by that
build itself and stays out, and so does the local part of a version (`+cpu`): one file serves all platforms.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
ENVIRONMENT = ROOT / "environment.yml"
CONFIG = ROOT / "config" / "config.yaml"

HEADER = """\
# Exact versions of everything, for Linux and macOS and Python 3.11 to 3.13. Written by `make lock`.
# No hashes and no local versions: torch has one build per platform and accelerator.
"""
LEFT_OUT = re.compile(r"^(pip|cpt-dynamics|triton|cuda-.*|nvidia-.*)$")

# Where conda calls a distribution something else than PyPI does.
CONDA_NAMES = {"matplotlib": "matplotlib-base", "torch": "pytorch"}


def normalized(name: str) -> str:
    """A distribution's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path = LOCK) -> dict[str, str]:
    """Normalized distribution name -> exact version."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normalized(name): version for name, version in pins}


def resolve(upgrade: bool) -> dict[str, str]:
    """Name -> version of everything that pyproject.toml with all extras asks for."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--no-build-isolation", "--report", report.name]
        if LOCK.exists() and not upgrade:
            command += ["--constraint", str(LOCK)]
        if subprocess.run([*command, f"{ROOT}[all]"]).returncode:
            sys.exit("error: pip found no set of versions: relax a range in pyproject.toml, or use --upgrade")
        found = [item["metadata"] for item in json.loads(Path(report.name).read_text(encoding="utf-8"))["install"]]
    pins = {item["name"]: item["version"].split("+")[0] for item in found}
    return {name: version for name, version in pins.items() if not LEFT_OUT.match(normalized(name))}


def read_by_corpora(config: Path = CONFIG) -> set[str]:
    """Normalized names of the distributions whose text the corpora are made from."""
    corpora = yaml.safe_load(config.read_text(encoding="utf-8"))["corpora"].values()
    return {normalized(name) for corpus in corpora for name in corpus.get("distributions", {})}


def carry_over(pins: dict[str, str], corpora: set[str], environment: str) -> str:
    """`environment` with the versions of `pins`: conda's lines keep their names, pip's list is written anew.

    Parameters
    ----------
    pins : normalized distribution name -> version.
    corpora : distributions that the environment must have although nothing in it may depend on them.
    environment : text of environment.yml, which ends with pip's list.
    """
    pypi = {conda: name for name, conda in CONDA_NAMES.items()}
    head, pip, _ = environment.partition("  - pip:\n")
    given = set()

    def pin(match: re.Match[str]) -> str:
        name = pypi.get(match[1], normalized(match[1]))
        given.add(name)
        return f"  - {match[1]}={pins.get(name, match[2])}"

    head = re.sub(r"^  - ([\w.-]+)=([\w.]+)", pin, head, flags=re.MULTILINE)
    return head + pip + "".join(f"    - {name}=={pins[name]}\n" for name in sorted(corpora - given))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write requirements.lock and environment.yml.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    pins = resolve(parser.parse_args().upgrade)
    before = read_lock() if LOCK.exists() else {}
    after = {normalized(name): version for name, version in pins.items()}
    lines = [f"{name}=={pins[name]}\n" for name in sorted(pins, key=normalized)]
    LOCK.write_text(HEADER + "".join(lines), encoding="utf-8")
    ENVIRONMENT.write_text(carry_over(after, read_by_corpora(), ENVIRONMENT.read_text(encoding="utf-8")))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            print(f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'dropped')}")
    print(f"{LOCK.name}: {len(pins)} distributions")


if __name__ == "__main__":
    main()
