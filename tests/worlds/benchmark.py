"""A split of runs whose losses the noise law gives; results of a benchmark and fits of the law, without any fit."""

from typing import Any

from cpt_dynamics import curves, laws
from cpt_dynamics.leaderboard import board, sets, splits, uses
from cpt_dynamics.leaderboard.fits import End, Fits, SplitFit
from cpt_dynamics.leaderboard.results import Results
from cpt_dynamics.leaderboard.scores import Score
from cpt_dynamics.leaderboard.splits import Split
from worlds import REPOSITORY
from worlds.schedules import ALL, EXCESS, features_of, tables

FROZEN = splits.load(REPOSITORY / splits.SPLITS)
MORE = ("mean of candidates", "cpt_one_c")


def made() -> sets.Curves:
    """Losses of the noise law on four runs."""
    rows = features_of("noise_excess", EXCESS, ALL)(0.9)
    _, plans = tables(ALL)
    return sets.Curves(rows[list(curves.CURVE_COLUMNS)], plans, "0" * 64)


def split(fit: list[str], test: list[str], **more: Any) -> Split:
    return Split(set="made", kind="schedule", fit=fit, test=test, **more)


FIT, TEST = ["constant0.01", "cosine0.01", "wsd0.01"], ["drop0.01"]


def score(split: str, run: str, entry: str, error: float) -> Score:
    one = FROZEN.each()[split]
    own = entry in laws.LAWS
    size = len(laws.get(entry).parameters) if own else None
    inside = error < 0.01 if one.set == "lr_scheduling" and own else None
    signed = error * (1 if len(run) % 2 else -1)
    errors: dict[str, Any] = {"mean": error, "worst": 3 * error, "end": signed, "mae": 3 * error}
    share = None if inside is None else float(inside)
    bands: dict[str, Any] = {"mean_inside": inside, "end_inside": inside, "rows_inside": share}
    about: dict[str, Any] = {"parameters": size, "lambda_": None, "objective": 1.0, "chose": ""}
    return Score(one.set, split, one.kind, entry, run, 50, **errors, **bands, **about)


def whole(*names: str) -> Results:
    """Results of the tests of some sets (of all, without names), each entry of a test with errors of its own."""
    scores = []
    for name, one in FROZEN.each().items():
        if names and one.set not in names:
            continue
        entries = dict.fromkeys([*uses.USES[splits.name_of(name)].entries.values(), *MORE])
        for place, entry in enumerate(e for e in entries if e in laws.LAWS or " " in e or e == "auto"):
            scores += [score(name, run, entry, 0.002 + 0.001 * place + 1e-4 * i) for i, run in enumerate(one.test[:3])]
    raw = board.to_json(scores, board.board(scores), FROZEN.version, dict.fromkeys(names, "0" * 64), 300.0, 500.0, {})
    del raw["left_out"], raw["board"]
    return Results(**{**raw, "scores": scores})


def fits_of(found: Results) -> Fits:
    """A fit of every split, whose loss at the end of a run is predicted a little too high."""
    made = []
    for name, one in FROZEN.each().items():
        if one.set in found.sets:
            law = uses.USES[splits.name_of(name)].law
            parameters = {p.name: 0.5 for p in laws.get(law).parameters} | {"K": 3.0, "c": 300.0}
            runs = [*one.fit, *one.test]
            ends = [End(run, run in one.fit, 3 + 0.01 * i, 3.001 + 0.01 * i) for i, run in enumerate(runs)]
            made.append(SplitFit(splits.name_of(name), name, law, parameters, 80.0, 1e-2, 5000, ends))
    return Fits("cpt-dynamics/law-fits/1", FROZEN.version, made)
