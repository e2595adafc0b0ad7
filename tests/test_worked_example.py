"""The worked example: every command of the document runs and prints what the document shows."""

import itertools
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cpt_dynamics.cli import main

DOCS = Path(__file__).parents[1] / "docs"
DOCUMENT = DOCS / "worked-example.md"
LONG = "## With more runs"  # the part from here on is a slow test
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
LAST_DIGITS = 2  # units of the last printed digit that platforms may differ by


def console(text: str) -> list[tuple[list[str], list[str]]]:
    """Commands (words after `cpt-dynamics`) of all console blocks, each with the lines that are shown after it."""
    found: list[tuple[list[str], list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        lines = iter(re.sub(r"\\\n\s*", "", block).splitlines())
        for line in lines:
            if line.startswith("$ "):
                program, *words = shlex.split(line[2:])
                assert program == "cpt-dynamics"
                found.append((words, []))
            else:
                found[-1][1].append(line)
    return found


def same(shown: str, printed: str) -> bool:
    """Whether two lines are the same but for blanks and the last digits of numbers."""
    words = [" ".join(NUMBER.sub("#", line).split()) for line in (shown, printed)]
    if words[0] != words[1]:
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    return all(abs(value(one) - value(other)) <= LAST_DIGITS * unit(one) + 1e-12 for one, other in pairs)


def value(number: str) -> float:
    return float(number.replace(",", ""))


def unit(number: str) -> float:
    """What one more in the last printed digit is; of a whole number 0.05 %, which only steps in thousands reach."""
    mantissa, _, exponent = number.replace(",", "").partition("e")
    digits = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - digits) if digits or exponent else 5e-4 * abs(value(number))


def missing(shown: list[str], printed: list[str]) -> str | None:
    """The first shown line that is not printed where it should be: right after the one before, or after `...`."""
    at, free = 0, False
    for line in shown:
        if line == "...":
            free = True
            continue
        places = range(at, len(printed)) if free else range(at, min(at + 1, len(printed)))
        place = next((i for i in places if same(line, printed[i])), None)
        if place is None:
            return line
        at, free = place + 1, False
    return None if free or at == len(printed) else f"(the end, before {printed[at]!r})"


def check(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> int:
    """Run the commands of a text beside copies of the logs; returns how many there were."""
    for path in (DOCS / "examples").glob("*.csv"):
        shutil.copy(path, folder)
    monkeypatch.chdir(folder)
    commands = console(text)
    for words, shown in commands:
        assert main(words) == 0, capsys.readouterr().err
        printed = capsys.readouterr().out.splitlines()
        wrong = missing(shown, printed)
        assert wrong is None, "\n".join([f"{' '.join(words[:2])} does not print: {wrong}", "It prints:", *printed])
    return len(commands)


def test_two_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before, _ = DOCUMENT.read_text().split(LONG)
    assert check(before, tmp_path, monkeypatch, capsys) == 9
    assert {"handbook.json", "code.json", "plans.png", "lr.csv"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_five_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _, after = DOCUMENT.read_text().split(LONG)
    assert check(after, tmp_path, monkeypatch, capsys) == 3


def test_the_measured_goals_are_those_of_the_runs() -> None:
    logs = {"0 % (`run_a`)": pd.read_csv(DOCS / "examples" / "run_a.csv")}
    further = pd.read_csv(DOCS / "examples" / "further_runs.csv")
    logs |= {f"{ratio} %": further[further["run"] == f"replay_{ratio}"] for ratio in (33, 50, 67)}
    ends = {run: log.iloc[-1].to_dict() for run, log in logs.items()}
    assert {end["step"] for end in ends.values()} == {4500}
    rows = [line.strip("| ").split(" | ") for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    shown = {row[0]: row[1:] for row in rows if row[0] in ends}
    assert shown.keys() == ends.keys()
    weights = (0.2, 0.5, 0.8)
    goals = {run: [w * end["loss_handbook"] + (1 - w) * end["loss_code"] for w in weights] for run, end in ends.items()}
    for run, cells in shown.items():
        assert [float(cell.strip("*")) for cell in cells] == pytest.approx(goals[run], abs=6e-4)
    bold = {(run, i) for run, cells in shown.items() for i, cell in enumerate(cells) if cell.startswith("**")}
    assert bold == {(min(goals, key=lambda run: goals[run][i]), i) for i in range(3)}


def test_the_logs_are_small_and_dense_after_the_transfer() -> None:
    for name in ("run_a", "run_b"):
        log = pd.read_csv(DOCS / "examples" / f"{name}.csv")
        assert len(log) <= 150
        after = log.loc[log["phase"] == "continual", "step"].to_numpy() - 3000
        assert after[:4].tolist() == [1, 2, 4, 8]
        assert np.diff(log["step"]).min() >= 1


@pytest.mark.parametrize(
    ("shown", "printed", "fine"),
    [
        (["a 1.00", "..."], ["a 1.02", "b"], True),
        (["a 1.00", "..."], ["a 1.03", "b"], False),
        (["a 1,500"], ["a 1,501"], True),
        (["a 500"], ["a 501"], False),
        (["a", "c"], ["a", "b", "c"], False),
        (["...", "c", "..."], ["a", "b", "c", "d"], True),
        (["a"], ["a", "b"], False),
        (["x  -0.61e-3"], ["x -0.62e-3"], True),
    ],
)
def test_the_comparison_sees_differences(shown: list[str], printed: list[str], fine: bool) -> None:
    assert (missing(shown, printed) is None) == fine


def test_lines_of_the_document_fit_a_page() -> None:
    prose = itertools.filterfalse(lambda line: line.startswith("|"), DOCUMENT.read_text().splitlines())
    assert max(map(len, prose)) <= 132
