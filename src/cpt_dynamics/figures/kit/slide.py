"""Figure 4 from printed coefficients: CPT as a slide between two loss surfaces of D_pt (arXiv 2505.07796)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.files import plain
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import Predictor, Scenario, features_of

GRID = (25, 9)  # points of the surfaces along S1 and S2
POINTS = 120  # of a drawn curve
FIRST = 0.1  # share of the pre-training that is left out of drawings, where the loss is too high to show


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Both surfaces, one run across them, and the two views. The arguments are not read."""
    figure = sources.load().figures["fig04"]
    (source,) = figure.coefficients.values()
    general = sources.coefficients(source, "general", figure.settings)
    surface, forward, annealing = (figure.panels[key] for key in ("surface", "forward", "annealing"))
    drawn = views(
        general,
        surface.setting(),
        (forward.setting(), [round(step) for step in forward.values]),
        (annealing.setting(), annealing.values),
    )
    return plain({**sources.head("printed_fig04", figure), **drawn, "checks": statements(drawn)})


def views(
    general: Predictor,
    scenario: Scenario,
    forward: tuple[Scenario, Sequence[int]],
    annealing: tuple[Scenario, Sequence[float]],
) -> dict[str, Any]:
    """What `plots.loss_surface` draws, for Eq. 4 on D_pt (or a law with the same B).

    forward: pre-training at a constant LR, and the steps at which CPT leaves it; every CPT goes on to the end of
    that pre-training. annealing: a run, and the loss potentials of its checkpoint.
    """
    run = path(general, scenario)
    return {
        "surface": {**surfaces(general, *extent(run)), "run": run},
        "forward": forward_view(general, *forward),
        "annealing": annealing_view(general, *annealing),
    }


def surfaces(general: Predictor, s1: Array, s2: Array) -> dict[str, Any]:
    """Losses of the pre-training surface and of the shifted one (plus B, the limit of the shift), [S2, S1]."""
    flat = (len(s2), len(s1))
    hidden = at_rest(general, *(part.ravel() for part in np.broadcast_arrays(s1[None, :], s2[:, None]))).reshape(flat)
    return {"s1": s1, "s2": s2, "hidden": hidden, "shifted": hidden + general.parameters["B"]}


def at_rest(general: Predictor, s1: Array, s2: Array) -> Array:
    """The law without a transfer, at the given areas, [n] (nats/token)."""
    nothing = np.zeros(len(s1))
    return general.predict({"s1pt": s1, "s2pt": s2, "s1cpt": nothing, "s2cpt": nothing})


def extent(run: Mapping[str, Mapping[str, Array]]) -> tuple[Array, Array]:
    """Grids of S1 and S2 that hold a run."""
    s1 = np.concatenate([part["s1"] for part in run.values()])
    s2 = np.concatenate([part["s2"] for part in run.values()])
    return np.linspace(s1.min(), s1.max(), GRID[0]), np.linspace(min(s2.min(), 0.0), s2.max() * 1.1, GRID[1])


def path(general: Predictor, scenario: Scenario) -> dict[str, dict[str, Array]]:
    """Areas and D_pt loss of pre-training, of CPT, and of the hidden curve under the LR of CPT, each [points]."""
    before, total = scenario.pretraining_steps, len(scenario.lr)
    early = np.unique(np.linspace(FIRST * before, before, POINTS).round().astype(int))
    late = before + np.unique(np.append(0, np.geomspace(1, total - before, POINTS)).round().astype(int))
    run = scenario.features(general.settings)
    hidden = features_of(scenario.lr, total, general.settings)
    return {
        "pretraining": _of(general, run, early),
        "continual": _of(general, run, late),
        "hidden": _of(general, hidden, late),
    }


def _of(general: Predictor, features: pd.DataFrame, steps: NDArray[np.int_]) -> dict[str, Array]:
    """Areas of both phases together and loss at some steps."""
    rows = features.iloc[steps - 1]
    return {
        "step": steps,
        "s1": (rows["s1pt"] + rows["s1cpt"]).to_numpy(),
        "s2": (rows["s2pt"] + rows["s2cpt"]).to_numpy(),
        "loss": general.predict(rows),
    }


def forward_view(general: Predictor, scenario: Scenario, transfers: Sequence[int]) -> dict[str, Any]:
    """Loss against S1 at a constant LR: the hidden curve, the shifted one, and CPT from each point of transfer."""
    total = scenario.pretraining_steps
    runs = []
    for step in transfers:
        run = replace(scenario, pretraining_steps=step, continual_steps=total - step)
        runs.append({"transfer": step, **path(general, run)["continual"]})
    end = scenario.features(general.settings, [min(transfers), total])["s1pt"].to_numpy()
    s1 = np.linspace(end[0] / 2, end[1], POINTS)
    hidden = at_rest(general, s1, np.zeros(len(s1)))
    return {"s1": s1, "hidden": hidden, "shifted": hidden + general.parameters["B"], "runs": runs}


def annealing_view(general: Predictor, scenario: Scenario, potentials: Sequence[float]) -> dict[str, Any]:
    """Loss against S2 for CPT from checkpoints of several potentials, with both surfaces cut at one S1."""
    paths = [path(general, scenario.with_knob("potential", potential))["continual"] for potential in potentials]
    runs = [{"potential": potential, **run} for potential, run in zip(potentials, paths, strict=True)]
    s1 = float(max(run["s1"][0] for run in paths))
    s2 = np.linspace(0, max(float(run["s2"].max()) for run in paths), 2)
    hidden = at_rest(general, np.full(len(s2), s1), s2)
    return {"s1": s1, "s2": s2, "hidden": hidden, "shifted": hidden + general.parameters["B"], "runs": runs}


def statements(drawn: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the figure shows, as statements about the computed curves."""
    run, forward, annealing = drawn["surface"]["run"], drawn["forward"]["runs"], drawn["annealing"]["runs"]
    gap = float(drawn["surface"]["shifted"][0, 0] - drawn["surface"]["hidden"][0, 0])
    shift = run["continual"]["loss"] - run["hidden"]["loss"]
    to_come = [float(run["s2"][-1] - run["s2"][0]) for run in annealing]
    rises = [run["loss"] - np.interp(run["s1"], drawn["forward"]["s1"], drawn["forward"]["hidden"]) for run in forward]
    return [
        sources.check("CPT starts on the surface of pre-training", abs(shift[0]) < 1e-9),
        sources.check("CPT moves from it towards the shifted surface", bool(np.all(np.diff(shift) > -1e-3 * gap))),
        sources.check("CPT stays between the two surfaces", bool(np.all(shift < gap))),
        sources.check(
            "at a constant LR the distance to the hidden curve grows at every point of transfer",
            all(bool(np.all(np.diff(rise[1:]) > 0)) for rise in rises),
        ),
        sources.check(
            "the higher the loss potential, the more annealing is left for CPT", bool(np.all(np.diff(to_come) > 0))
        ),
    ]
