"""The board in the docs: it is made of its file, which is made of results, and says what was aimed at."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from worlds import REPOSITORY
from worlds.benchmark import FROZEN, fits_of, whole

from cpt_dynamics import files
from cpt_dynamics.leaderboard import fits, present, uses
from cpt_dynamics.leaderboard.present import Aim, Board
from cpt_dynamics.leaderboard.results import Results

WHOLE = whole()


def kept() -> Board:
    return files.read_model(Board, REPOSITORY / present.BOARD, present.REMEDY)


def aims(found: Results) -> dict[str, Aim]:
    return {aim.what: aim for aim in present.measured(found, fits_of(found))}


def test_the_page_is_made_of_its_file() -> None:
    assert (REPOSITORY / present.PAGE).read_text(encoding="utf-8") == present.page(kept())


def test_the_kept_board_is_of_the_frozen_splits() -> None:
    found = kept()
    assert found.splits == FROZEN.version
    assert {row.set for row in found.tests} == set(uses.USES)
    assert set(found.sha256) == {one.set for one in FROZEN.splits.values()}
    assert {row.set for row in found.rows} == set(found.sha256)


def test_a_changed_score_changes_its_aim_alone() -> None:
    at = [i for i, one in enumerate(WHOLE.scores) if (one.split, one.entry) == ("lr_scheduling_1e3_three", "auto")]
    scores = [replace(one, mean=0.5) if i in at else one for i, one in enumerate(WHOLE.scores)]
    before, after = aims(WHOLE), aims(replace(WHOLE, scores=scores))
    (changed,) = [what for what in before if before[what] != after[what]]
    assert changed.startswith("124M at 1e-3, chosen by rule")
    assert (after[changed].reached, after[changed].verdict) == (0.5, "**missed**")


def test_the_largest_error_counts_where_every_base_is_meant() -> None:
    one = next(i for i, o in enumerate(WHOLE.scores) if o.split == "delphi_above/9e18/p33m67" and o.entry == "auto")
    scores = [replace(o, end=-0.3) if i == one else o for i, o in enumerate(WHOLE.scores)]
    before, after = aims(WHOLE), aims(replace(WHOLE, scores=scores))
    changed = {what: after[what].reached for what in before if before[what] != after[what]}
    assert 0.3 in changed.values()
    assert len(changed) == 2  # and the mean beside it


def test_sets_that_are_not_there_are_not_measured() -> None:
    found = aims(whole("cpu"))
    assert {aim.verdict for what, aim in found.items() if what.startswith("124M") and aim.high} == {"not measured"}
    assert found["own curves, D_pt, chosen by rule, mean error"].verdict != "not measured"


@pytest.mark.parametrize(
    ("aim", "cells"),
    [
        (Aim("a", "%", None, 0.002, 0.002), ["a", "at most 0.2 %", "0.2 %", "reached"]),
        (Aim("a", "%", 0.8, 0.97, 0.98), ["a", "80 % to 97 %", "98 %", "**missed**"]),
        (Aim("a", "groups", 14, None, 13), ["a", "14 groups", "13 groups", "**missed**"]),
        (Aim("a", "nats", None, 0.003, None), ["a", "at most 0.0030 nats", "", "not measured"]),
        (Aim("a", "nats", None, None, 0.003), ["a", "", "0.0030 nats", ""]),
    ],
)
def test_an_aim_as_text(aim: Aim, cells: list[str]) -> None:
    assert aim.cells == cells


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_json(tmp_path / "results.json", files.plain(asdict(WHOLE)))
    fits.write(tmp_path / "fits.json", fits_of(WHOLE).fits, FROZEN.version)
    present.main(["results.json", "fits.json"])
    assert "| chosen by rule |" in capsys.readouterr().out
    text = present.PAGE.read_text(encoding="utf-8")
    assert text == present.page(present.made(WHOLE, fits_of(WHOLE)))
    assert "**missed**" in text
    present.main([])
    assert present.PAGE.read_text(encoding="utf-8") == text


def test_the_readme_has_the_head_of_the_kept_board() -> None:
    board = files.read_model(Board, REPOSITORY / present.BOARD, "")
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for line in present.head(board)[2:]:
        assert line.partition(" | ")[2] in readme
    missed = sum("missed" in aim.verdict for aim in board.aims)
    measured = sum("reached" in aim.verdict for aim in board.aims) + missed
    assert f"of {measured} numbers that were aimed at and\ncould be measured {missed} were missed" in readme
