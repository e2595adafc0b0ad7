"""The worlds that many tests start in."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from worlds.bundles import wheel
from worlds.commands import small_file_system
from worlds.tiny import EXPERIMENTS, TINY, write_texts

from cpt_dynamics import config as configuration
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config

# A shell that starts tests in the background has them ignore SIGINT, and so would every command that they stop by it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What laws, areas, schedules, fits, batches, plans, curves, logs and claims do, in tests that read nothing else.
UNIT = {
    "test_areas",
    "test_corpora_batches",
    "test_curves",
    "test_drops",
    "test_findings",
    "test_fitting",
    "test_laws",
    "test_laws_forms",
    "test_logs",
    "test_planning",
    "test_uncertainty",
}
NOT_UNIT = {  # those that take more than about two seconds
    "test_findings.py::test_a_checker_of_types_finds_a_misspelt_attribute_of_a_result",
    "test_areas.py::test_a_million_steps_take_milliseconds",
    "test_fitting.py::test_known_curves_are_recovered_on_unseen_schedules",
    "test_fitting.py::test_relaxed_bounds_admit_a_negative_beta",
    "test_fitting.py::test_skill_is_what_annealing_explains",
    "test_drops.py::test_the_jacobian_is_the_derivative",
    "test_logs.py::test_the_lr_goes_through_every_logged_value",
    "test_findings.py::test_the_page_of_verdicts_is_set_without_a_warning",
}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m unit` the other files are not even imported."""
    name = collection_path.stem
    return True if config.option.markexpr == "unit" and name.startswith("test_") and name not in UNIT else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name = f"{item.path.name}::{item.name.partition('[')[0]}"
        if item.path.stem in UNIT and name not in NOT_UNIT and item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.unit)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with texts, config/config.yaml and config/experiments.yaml, made the working folder."""
    write_texts(tmp_path / "text")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))
    (tmp_path / "config/experiments.yaml").write_text(yaml.safe_dump(EXPERIMENTS, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


@pytest.fixture
def tiny(world: Path) -> Config:
    """The configuration of `world`, with its text tokenised."""
    for name in TINY["corpora"]:
        assert main(["documents", name]) == 0
        assert main(["split", name]) == 0
    assert main(["tokenizer"]) == 0
    for name in TINY["corpora"]:
        assert main(["tokens", name]) == 0
    return configuration.load([])


@pytest.fixture(autouse=True)
def compiled_code_elsewhere() -> Iterator[None]:
    """A training says in the environment where compiled code lies; no later test must look for it there."""
    before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    yield
    if before is None:
        os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)
    else:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = before


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture
def home(tiny: Config, world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `tiny` with five branches, of which three leave one trunk."""
    from worlds.campaign import FIGURES, RUNS

    entries = {"runs": RUNS, "figures": FIGURES}
    (world / "config/experiments.yaml").write_text(yaml.safe_dump(entries, sort_keys=False))
    monkeypatch.setattr("cpt_dynamics.slots.bundle.kit_wheel", wheel)
    return world


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Branches are trained in this process."""
    from worlds.campaign import in_this_process

    monkeypatch.setattr("cpt_dynamics.training.workers.train", in_this_process)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    with small_file_system(tmp_path / "disk", "256k") as folder:
        yield folder
