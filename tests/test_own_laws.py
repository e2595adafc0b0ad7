"""Laws of one's own, from a file and from an installed package, and former names of commands and modules."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpt_dynamics import cli, laws
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting import Fit

ROOT = Path(__file__).parents[1]
LAW_FILE = ROOT / "docs/examples/own/hyperbolic.py"
LOGS = [str(ROOT / f"docs/examples/run_{letter}.csv") for letter in "ab"]
FITTED = [
    "--validation",
    "code",
    "--law",
    "cpt_hyperbolic",
    "--starts",
    "2",
    "--first-step",
    "200",
    "--lambda",
    "0.987",
]
SCHEDULE = "constant 600 at 1e-3; continual: linear 300 to 1e-4"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Laws that a test loads are not known to the next one."""
    monkeypatch.setattr(laws, "_LOADED", {})
    laws._installed.cache_clear()
    yield
    laws._installed.cache_clear()


# --- from a file --------------------------------------------------------------------------------------------


def test_a_law_of_a_file_is_fitted_and_predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "fit.json")
    own = ["--law-file", str(LAW_FILE)]
    assert cli.main(["fit", *LOGS, *FITTED, *own, "--out", path]) == 0
    assert "law cpt_hyperbolic: arXiv 2505.07796, Eq. 4 with beta = 1" in capsys.readouterr().out
    written = json.loads(Path(path).read_text(encoding="utf-8"))
    assert written["formula"].endswith("+ B*E*S1cpt/(1 + E*S1cpt)")
    assert cli.main(["predict", path, "--schedule", SCHEDULE, *own, "--json"]) == 0
    end = json.loads(capsys.readouterr().out)["runs"]["schedule"]["end"]
    assert end["predicted"] > written["parameters"]["L0"]
    assert Fit.from_json(written).law == laws.get("cpt_hyperbolic")


def test_a_fit_of_a_law_that_is_not_known_names_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "fit.json")
    assert cli.main(["fit", *LOGS, *FITTED, "--law-file", str(LAW_FILE), "--out", path]) == 0
    laws._LOADED.clear()
    capsys.readouterr()
    assert cli.main(["predict", path, "--schedule", SCHEDULE]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path}: there is no law 'cpt_hyperbolic'")
    assert "--law-file FILE.py" in line


def test_laws_are_loaded_and_listed_with_those_of_the_kit(capsys: pytest.CaptureFixture[str]) -> None:
    found = laws.load(LAW_FILE)
    assert list(found) == ["cpt_hyperbolic"]
    assert laws.get("cpt_hyperbolic", "positive").parameters[5].lower == 0
    assert list(laws.everything()) == [*laws.LAWS, "cpt_hyperbolic"]
    assert laws.load(str(LAW_FILE)).keys() == found.keys()  # again, as after an edit
    assert cli.main(["laws", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["name"] == "cpt_hyperbolic"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is no file of Python"),
        ("LAWS = [", "SyntaxError"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("SHAPES = {}", "has no list LAWS"),
        ("LAWS = []", "has no list LAWS"),
        ("LAWS = 'cpt'", "has no list LAWS"),
        ("LAWS = [1]", "LAWS holds a int"),
        ("from cpt_dynamics.laws import LAWS as OLD\nLAWS = [OLD['cpt']]", "give yours another name"),
    ],
)
def test_a_file_without_laws_is_one_line(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.py"
    if text is not None:
        path.write_text(text)
    assert cli.main(["laws", "cpt", "--law-file", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path}")
    assert words in line
    assert laws._LOADED == {}


# --- from an installed package ------------------------------------------------------------------------------


def installed(folder: Path, value: str) -> Path:
    """A package with laws, as pip installs it."""
    (folder / "own_laws").mkdir()
    (folder / "own_laws/__init__.py").touch()
    shutil.copy(LAW_FILE, folder / "own_laws/hyperbolic.py")
    about = folder / "own_laws-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-laws\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[cpt_dynamics.laws]\nhyperbolic = {value}\n")
    return folder


@pytest.mark.parametrize("value", ["own_laws.hyperbolic", "own_laws.hyperbolic:LAWS"])
def test_an_installed_package_adds_laws(value: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed(tmp_path, value))}
    command = [sys.executable, "-m", "cpt_dynamics", "laws", "cpt_hyperbolic"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Eq. 4 with beta = 1" in done.stdout


def test_a_broken_package_is_named_and_does_not_disturb_laws_of_the_kit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(installed(tmp_path, "own_laws.absent")))
    assert laws.get("cpt").name == "cpt"
    with pytest.raises(UserError, match=r"entry point hyperbolic = own_laws\.absent cannot be loaded"):
        laws.get("cpt_hyperbolic")


def test_the_registry_is_the_folder() -> None:
    folder = Path(laws.__file__).parent
    files = [path for path in folder.glob("*.py") if "\nLAWS = [" in path.read_text()]
    modules = [importlib.import_module(f"cpt_dynamics.laws.{path.stem}") for path in sorted(files)]
    assert list(laws.LAWS) == [law.name for module in modules for law in module.LAWS]
    assert len(files) >= 9


# --- former names -------------------------------------------------------------------------------------------


def test_former_commands_are_hidden_and_name_their_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.ALIASES
    assert cli.ALIASES.keys() & cli.COMMANDS.keys() == set()
    assert set(cli.ALIASES.values()) <= cli.COMMANDS.keys()
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = re.findall(r"^ {4}(\S+)", capsys.readouterr().out, flags=re.MULTILINE)
    assert set(cli.COMMANDS) <= set(listed)
    assert cli.ALIASES.keys() & set(listed) == set()
    for former, name in cli.ALIASES.items():
        printed = []
        for word in (former, name):
            with pytest.raises(SystemExit):
                cli.main([word, "--help"])
            printed.append(capsys.readouterr())
        assert printed[0].out == printed[1].out
        assert printed[0].err == f"cpt-dynamics {former} is now cpt-dynamics {name}\n"
        assert printed[1].err == ""


TERM = "from cpt_dynamics.laws import Constant, Law\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys\nsys.exit(3)\n", "cannot be run"),
        (TERM + "LAWS = [Law('q', 's', (1, 2))]\n", "needs terms"),
        (TERM + "LAWS = [Law('q', 's', ())]\n", "needs terms"),
        (TERM + "LAWS = [Law('a b', 's', (Constant('L0'),))]\n", "cannot name a law"),
        (TERM + "LAWS = [Law('q', 's', (Constant('L0'),))] * 2\n", "two laws of one name"),
    ],
)
def test_a_file_that_is_no_file_of_laws_is_one_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    with pytest.raises(UserError, match=said) as raised:
        laws.load(path)
    assert str(path) in str(raised.value)


def test_two_files_do_not_share_a_name(tmp_path: Path) -> None:
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(TERM + "LAWS = [Law('q', 's', (Constant('L0'),))]\n")
    laws.load(tmp_path / "one.py")
    laws.load(tmp_path / "one.py")  # again is no mistake
    with pytest.raises(UserError, match=r"two\.py: there is a law 'q' in .*one\.py, too"):
        laws.load(tmp_path / "two.py")
