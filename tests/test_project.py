"""The files that describe the project agree with each other."""

import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import cpt_dynamics
from cpt_dynamics import config, errors

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lock = _module("scripts/lock.py")
PINS: dict[str, str] = lock.read_lock()
EXTRAS = {
    name: [Requirement(r) for r in PROJECT["optional-dependencies"][name]]
    for name in ("parquet", "figures", "train", "workflow", "cluster", "dev", "docs")
}
CORE = [Requirement(r) for r in PROJECT["dependencies"]]
RUNTIME = [*CORE, *EXTRAS["figures"], *EXTRAS["train"], *EXTRAS["workflow"]]
DIRECT = [*CORE, *(requirement for extra in EXTRAS.values() for requirement in extra)]


def read_yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def conda_environment() -> tuple[dict[str, str], dict[str, str]]:
    """What conda and what pip installs: distribution as PyPI calls it -> version in environment.yml."""
    pypi = {conda: name for name, conda in lock.CONDA_NAMES.items()}
    entries = read_yaml("environment.yml")["dependencies"]
    by_conda = dict(entry.split("=") for entry in entries if isinstance(entry, str) and "=" in entry)
    (by_pip,) = (entry["pip"] for entry in entries if isinstance(entry, dict))
    return {pypi.get(name, name): v for name, v in by_conda.items()}, dict(pin.split("==") for pin in by_pip)


# --- the lock ---------------------------------------------------------------------------------------------


def test_the_lock_pins_each_distribution_once_exactly_and_for_every_platform() -> None:
    lines = [line for line in lock.LOCK.read_text().splitlines() if not line.startswith("#")]
    names = [lock.normalized(line.split("==")[0]) for line in lines]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!]+", line)] == []
    assert names == sorted(set(names))
    assert [name for name in names if lock.LEFT_OUT.match(name)] == []


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda r: r.name)
def test_ranges_admit_the_locked_version(requirement: Requirement) -> None:
    assert PINS[lock.normalized(requirement.name)] in requirement.specifier


def test_the_promised_ranges() -> None:
    torch, transformers = (next(r for r in RUNTIME if r.name == name) for name in ("torch", "transformers"))
    assert {"2.11.0", "2.13.1"} <= set(torch.specifier.filter(["2.10.9", "2.11.0", "2.13.1", "2.14.0"]))
    assert list(transformers.specifier.filter(["5.16.9", "5.17.0", "5.99.0"])) == ["5.17.0", "5.99.0"]


def test_the_extra_all_is_all_extras() -> None:
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert Requirement(everything).extras == set(EXTRAS)
    assert set(PROJECT["optional-dependencies"]) == {*EXTRAS, "all"}


def test_corpora_name_the_locked_versions() -> None:
    files = [str(config.DEFAULT), *(str(p.relative_to(ROOT)) for p in ROOT.glob("config/scales/*.yaml"))]
    stated = [
        (file, corpus, distribution, version)
        for file in files
        for corpus, entry in (read_yaml(file).get("corpora") or {}).items()
        for distribution, version in ((entry or {}).get("distributions") or {}).items()
    ]
    assert stated
    assert [s for s in stated if PINS.get(lock.normalized(s[2])) != s[3]] == []


def test_lock_script_carries_versions_over_and_changes_nothing_else() -> None:
    before = """\
  # why
  - python=3.11
  - pip
  - pytorch=1.0 # why
  - numpy=1.0
  - pip:
    - old==1.0
"""
    after = before.replace("h=1.0", "h=2.13.0").replace("y=1.0", "y=2.4.6").replace("old==1.0", "sympy==1.14.0")
    pins = {"torch": "2.13.0", "numpy": "2.4.6", "sympy": "1.14.0", "tqdm": "4.70.1"}
    assert lock.carry_over(pins, {"numpy", "sympy"}, before) == after
    assert lock.carry_over(pins, {"numpy", "sympy"}, after) == after


# --- conda ------------------------------------------------------------------------------------------------


def test_conda_environment_has_the_locked_versions() -> None:
    by_conda, by_pip = conda_environment()
    assert by_conda.pop("python") in SpecifierSet(PROJECT["requires-python"])
    assert by_conda.keys() & by_pip.keys() == set()
    stated = by_conda | by_pip
    assert stated == {name: PINS.get(name) for name in stated}


def test_conda_environment_has_what_the_package_and_its_corpora_need() -> None:
    by_conda, by_pip = conda_environment()
    assert {lock.normalized(r.name) for r in RUNTIME} - by_conda.keys() == set()
    assert lock.read_by_corpora() - by_conda.keys() - by_pip.keys() == set(), "run `make lock`"


# --- metadata ---------------------------------------------------------------------------------------------


def test_the_version_is_the_same_everywhere() -> None:
    citation = read_yaml("CITATION.cff")
    assert citation["version"] == cpt_dynamics.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(\d[^]]*)\]", changelog, flags=re.MULTILINE)[0] == cpt_dynamics.__version__
    assert "version" in PROJECT["dynamic"]


def test_the_licence_is_the_same_everywhere() -> None:
    assert PROJECT["license"] == read_yaml("CITATION.cff")["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_classifiers_name_the_python_versions_of_the_range() -> None:
    prefix = "Programming Language :: Python :: "
    named = {c.removeprefix(prefix) for c in PROJECT["classifiers"] if c.startswith(prefix)}
    admitted = SpecifierSet(PROJECT["requires-python"]).filter(f"3.{minor}" for minor in range(8, 20))
    assert named == set(admitted)


# --- commands ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_alone_lists_every_command() -> None:
    result = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = re.findall(r"^  make ([a-z-]+) ", result.stdout, flags=re.MULTILINE)
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert sorted(listed) == sorted(phony.split())


@pytest.mark.parametrize("path", ["scripts/setup.sh", ".ci/run", "environment.post-deploy.sh"])
def test_scripts_are_executable_and_parse(path: str) -> None:
    assert os.stat(ROOT / path).st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", ROOT / path], check=True)


def test_profiles_use_options_that_snakemake_has() -> None:
    cli = pytest.importorskip("snakemake.cli")
    parser = cli.get_argument_parser()
    known = {option.lstrip("-") for action in parser._actions for option in action.option_strings}
    profiles = sorted(ROOT.glob("profiles/*/config.yaml"))
    assert ROOT / "profiles/default/config.yaml" in profiles
    for profile in profiles:
        # Options of plugins are known only where the plugin is installed.
        keys = {k for k in yaml.safe_load(profile.read_text()) if not k.startswith("slurm-")}
        assert keys - known == set(), profile


def test_the_core_needs_neither_torch_nor_snakemake() -> None:
    """Laws, fits and figures work with what `dependencies` lists; the extras are for the rest."""
    code = """
import importlib, pkgutil, sys
import cpt_dynamics
extras = set(sys.argv[1].split(","))
rooms = "errors files config schedules areas curves laws fitting logs planning figures claims"
for room in rooms.split():
    try:
        package = importlib.import_module(f"cpt_dynamics.{room}")
    except ModuleNotFoundError as error:
        if error.name != f"cpt_dynamics.{room}":
            raise
        continue
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), package.__name__ + "."):
        if module.name != "cpt_dynamics.logs.callback":  # of people's own Trainer
            importlib.import_module(module.name)
print(sorted(extras & set(sys.modules)))
"""
    extras = ",".join(["snakemake", *(r.name for r in EXTRAS["train"] if r.name not in ("tqdm", "pyarrow"))])
    result = subprocess.run([sys.executable, "-c", code, extras], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def test_the_core_fits_a_log_without_any_extra(tmp_path: Path) -> None:
    """Only a curve table in parquet asks for a package more, in one line."""
    rows = [f"{step},{3 + 0.4 * (step / 10) ** -0.5:.4f},1e-3" for step in range(10, 610, 10)]
    (tmp_path / "run.csv").write_text("\n".join(["step,eval_loss,lr", *rows]))
    (tmp_path / "run.parquet").write_bytes(b"PAR1")
    code = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))  # cannot be imported
from cpt_dynamics.cli import main
sys.exit(main(["fit", sys.argv[2], "--law", "s1_only", "--starts", "2"]))
"""
    blocked = ",".join({r.name for name in ("parquet", "figures", "train", "workflow") for r in EXTRAS[name]})

    def fit(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, blocked, str(tmp_path / name)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = fit("run.csv")
    assert done.returncode == 0, done.stderr
    assert "L0" in done.stdout
    refused = fit("run.parquet")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "run.parquet" in refused.stderr
    assert "pip install 'cpt-dynamics[parquet]'" in refused.stderr


def test_a_package_of_an_extra_that_is_missing_is_one_line() -> None:
    named = {name: {r.name for r in EXTRAS[name]} for name in ("parquet", "figures", "train", "workflow")}
    for package, extra in errors.EXTRAS.items():
        assert package in named[extra] or package == "huggingface_hub"  # of which datasets is made
        assert f"cpt-dynamics[{extra}]" in str(errors.lacking(ModuleNotFoundError(name=f"{package}.inner")))
    assert errors.lacking(ModuleNotFoundError(name="nothing.of.ours")) is None
