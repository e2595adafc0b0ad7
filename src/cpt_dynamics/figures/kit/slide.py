"""CPT as a slide between two loss surfaces of D_pt, with a forward and an annealing view (Fig. 4)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from cpt_dynamics.figures.kit.result import Part
from cpt_dynamics.figures.kit.statement import Statement, statement
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import Predictor, Scenario, features_of

GRID = (25, 9)  # points of the surfaces along S1 and S2
POINTS = 120  # of a drawn curve
FIRST = 0.1  # share of the pre-training that is left out of drawings, where the loss is too high to show


class Path(Part):
    """Areas of both phases together, and D_pt loss (nats/token), at some steps, each [points]."""

    step: list[int]
    s1: list[float]
    s2: list[float]
    loss: list[float]


class Run(Part):
    """A PT, a CPT, and the hidden curve under the LR of that CPT."""

    pretraining: Path
    continual: Path
    hidden: Path


class Surface(Part):
    """Losses of the pre-training surface (`hidden`) and of the shifted one, [s2, s1], and a run across them."""

    s1: list[float]
    s2: list[float]
    hidden: list[list[float]]
    shifted: list[list[float]]
    run: Run


class ForwardPath(Path):
    transfer: int = Field(description="step at which CPT leaves the pre-training")


class ForwardView(Part):
    """Loss against S1 at a constant LR: the hidden curve, the shifted one, and CPT from each point of transfer."""

    s1: list[float]
    hidden: list[float]
    shifted: list[float]
    runs: list[ForwardPath]


class AnnealingPath(Path):
    potential: float = Field(description="loss potential of the checkpoint")


class AnnealingView(Part):
    """Loss against S2 for CPT from checkpoints of several potentials, with both surfaces cut at one S1."""

    s1: float
    s2: list[float]
    hidden: list[float]
    shifted: list[float]
    runs: list[AnnealingPath]


class Views(Part):
    """The figure. Its upper surface is the lower one plus a constant."""

    surface: Surface
    forward: ForwardView
    annealing: AnnealingView


def views(
    general: Predictor,
    scenario: Scenario,
    forward: tuple[Scenario, Sequence[int]],
    annealing: tuple[Scenario, Sequence[float]],
    lifted: float,
) -> Views:
    """The views of Eq. 4 on D_pt (or a law with the same B), with the upper surface `lifted` above the lower one.

    forward: pre-training at a constant LR, and the steps at which CPT leaves it; every CPT goes on to the end of
    that pre-training. annealing: a run, and the loss potentials of its checkpoint.
    """
    return Views(
        surface=_surface(general, scenario, lifted),
        forward=_forward(general, *forward, lifted),
        annealing=_annealing(general, *annealing, lifted),
    )


def _at_rest(general: Predictor, s1: Array, s2: Array) -> Array:
    """The law without a transfer, at the given areas, [n] (nats/token)."""
    nothing = np.zeros(len(s1))
    return general.predict({"s1pt": s1, "s2pt": s2, "s1cpt": nothing, "s2cpt": nothing})


def _surface(general: Predictor, scenario: Scenario, lifted: float) -> Surface:
    """Both surfaces over areas that hold a run."""
    before, total = scenario.pretraining_steps, len(scenario.lr)
    early = np.unique(np.linspace(FIRST * before, before, POINTS).round().astype(int))
    late = _after_transfer(scenario)
    features = scenario.features(general.settings)
    run = Run(
        pretraining=_path(general, features, early),
        continual=_path(general, features, late),
        hidden=_path(general, features_of(scenario.lr, total, general.settings), late),
    )
    paths = (run.pretraining, run.continual, run.hidden)
    all_s1, all_s2 = ([value for path in paths for value in getattr(path, name)] for name in ("s1", "s2"))
    s1 = np.linspace(min(all_s1), max(all_s1), GRID[0])
    s2 = np.linspace(min(*all_s2, 0.0), max(all_s2) * 1.1, GRID[1])
    hidden = _at_rest(general, np.tile(s1, len(s2)), np.repeat(s2, len(s1))).reshape(len(s2), len(s1))
    return Surface(s1=s1.tolist(), s2=s2.tolist(), hidden=hidden.tolist(), shifted=(hidden + lifted).tolist(), run=run)


def _after_transfer(scenario: Scenario) -> NDArray[np.int_]:
    """The transfer and steps of CPT after it, from the start of pre-training on."""
    steps = np.geomspace(1, scenario.continual_steps, POINTS)
    return scenario.pretraining_steps + np.unique(np.append(0, steps).round().astype(int))


def _path(general: Predictor, features: pd.DataFrame, steps: NDArray[np.int_]) -> Path:
    rows = features.iloc[steps - 1]
    return Path(
        step=steps.tolist(),
        s1=(rows["s1pt"] + rows["s1cpt"]).tolist(),
        s2=(rows["s2pt"] + rows["s2cpt"]).tolist(),
        loss=general.predict(rows).tolist(),
    )


def _continual(general: Predictor, scenario: Scenario) -> Path:
    return _path(general, scenario.features(general.settings), _after_transfer(scenario))


def _forward(general: Predictor, scenario: Scenario, transfers: Sequence[int], lifted: float) -> ForwardView:
    total = scenario.pretraining_steps
    runs = []
    for step in transfers:
        run = replace(scenario, pretraining_steps=step, continual_steps=total - step)
        runs.append(ForwardPath(transfer=step, **dict(_continual(general, run))))
    end = scenario.features(general.settings, [min(transfers), total])["s1pt"].to_numpy()
    s1 = np.linspace(end[0] / 2, end[1], POINTS)
    hidden = _at_rest(general, s1, np.zeros(len(s1)))
    return ForwardView(s1=s1.tolist(), hidden=hidden.tolist(), shifted=(hidden + lifted).tolist(), runs=runs)


def _annealing(general: Predictor, scenario: Scenario, potentials: Sequence[float], lifted: float) -> AnnealingView:
    paths = {potential: _continual(general, scenario.with_knob("potential", potential)) for potential in potentials}
    runs = [AnnealingPath(potential=potential, **dict(path)) for potential, path in paths.items()]
    s1 = max(run.s1[0] for run in runs)
    s2 = np.linspace(0, max(max(run.s2) for run in runs), 2)
    hidden = _at_rest(general, np.full(len(s2), s1), s2)
    return AnnealingView(s1=s1, s2=s2.tolist(), hidden=hidden.tolist(), shifted=(hidden + lifted).tolist(), runs=runs)


def statements(drawn: Views, limit: float) -> list[Statement]:
    """What the figure shows, as statements about the computed curves. limit: B of the shift (nats/token)."""
    run, forward = drawn.surface.run, drawn.forward
    shift = np.array(run.continual.loss) - np.array(run.hidden.loss)
    to_come = [path.s2[-1] - path.s2[0] for path in drawn.annealing.runs]
    rises = [np.array(path.loss) - np.interp(path.s1, forward.s1, forward.hidden) for path in forward.runs]
    return [
        statement("CPT starts on the surface of pre-training", abs(shift[0]) < 1e-9),
        statement("CPT moves from it towards the shifted surface", np.all(np.diff(shift) > -1e-3 * limit)),
        statement("CPT stays between the two surfaces", np.all(shift < limit)),
        statement(
            "at a constant LR the distance to the hidden curve grows at every point of transfer",
            all(np.all(np.diff(rise[1:]) > 0) for rise in rises),
        ),
        statement("the higher the loss potential, the more annealing is left for CPT", np.all(np.diff(to_come) > 0)),
    ]
