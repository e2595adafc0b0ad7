"""Figures 4, 8 and 13 from fitted laws, against laws that are known."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from worlds.runs import TRUE, WEAK

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments, figures, laws
from cpt_dynamics import schedules as lrs
from cpt_dynamics.areas import areas
from cpt_dynamics.claims import evaluate
from cpt_dynamics.claims.file import Claims, load
from cpt_dynamics.config import Config, Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig03.result import FitsOfSet, SkilledFit
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.fig04.result import Result as Fig04
from cpt_dynamics.figures.fig08.analyse import RATIOS
from cpt_dynamics.figures.fig08.result import Result as Fig08
from cpt_dynamics.figures.fig11.result import FitOfSet
from cpt_dynamics.figures.fig11.result import Result as Fig11
from cpt_dynamics.figures.fig12.result import FitAtRatio
from cpt_dynamics.figures.fig12.result import Result as Fig12
from cpt_dynamics.figures.fig13.result import Result as Fig13
from cpt_dynamics.figures.fig19 import result as fig19
from cpt_dynamics.figures.kit import strengths
from cpt_dynamics.figures.kit.result import FigureResult, Part, R, read_result, to_json
from cpt_dynamics.files import write_json
from cpt_dynamics.fitting import Fit
from cpt_dynamics.schedules import Schedule

FIGURES = ("fig04", "fig08", "fig13")
P = TypeVar("P", bound=Part)
Known = dict[str, FigureResult]
World = tuple[Config, Experiments]
LAST = {"shape": "cosine", "peak": "last"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Configuration and experiments; no result lies in its folder."""
    config = configuration.load([]).model_copy(update={"results": str(tmp_path_factory.mktemp("results"))})
    return config, experiments.load(config)


def only(kind: type[P], **fields: Any) -> P:
    """A part of a result with nothing but what is read here."""
    return cast(P, kind.model_construct(**fields))


def fitted(config: Config, law: str, scale: float, role: str, **more: float) -> Fit:
    """A fit with the coefficients of `paper_runs`. scale: of its shift."""
    settings = {"lambda": config.law.lambda_, "warmup": config.law.warmup, "carry_over": config.law.carry_over}
    return Fit(
        law=laws.get(law),
        parameters={**TRUE[role], "B": scale * TRUE[role]["B"], **more},
        objective=0.0,
        method="varpro",
        delta=1e-3,
        converged=True,
        optimality=0.0,
        at_bounds=[],
        n_starts=1,
        n_agree=1,
        n_points=1,
        cpu_seconds=0.0,
        metrics={"all": {}, "continual": {}},
        contributions={},
        combinations={},
        condition=None,
        warnings=[],
        ranges={},
        settings=settings,
        data_hash="",
        versions={},
    )


def known_fits(config: Config, half: float = 0.5, **general: float) -> Known:
    """Results of the figures that Figs. 4, 8 and 13 need.

    half: size of the shift on D_pt at 50 % replay, over that without. general: other coefficients of Fig. 3 on D_pt.
    """
    both = {Role.GENERAL: "general", Role.STRONG: "strong"}
    shares = {ratio: 1 - int(ratio) / 100 for ratio in RATIOS}

    def chosen(role: Role) -> FitsOfSet:
        more = general if role == Role.GENERAL else {}
        return only(FitsOfSet, chosen=only(SkilledFit, fit=fitted(config, "cpt", 1.0, role, **more)))

    def at(ratio: str, role: Role) -> FitAtRatio:
        share = half if (ratio, role) == ("50", Role.GENERAL) else shares[ratio]
        return only(FitAtRatio, fit=fitted(config, "cpt", share, role))

    def eq8(law: str, scale: float, role: str) -> fig19.TestedForm:
        return only(fig19.TestedForm, fit=fitted(config, law, scale, role, a1=0.0, a2=0.5))

    rising, falling = 1 / np.expm1(0.5), -1 / np.expm1(-0.5)  # so that Eq. 8 without replay has the shift of Eq. 4
    weak = {
        Role.GENERAL: only(FitOfSet, fit=fitted(config, "cpt", WEAK, "general")),
        Role.WEAK: only(FitOfSet, fit=fitted(config, "cpt", 1.0, "weak")),
    }
    forms = {
        Role.GENERAL: only(
            fig19.FormsOfSet,
            exchanged=eq8("cpt_replay_general_convex", rising, "general"),
            printed=eq8("cpt_replay_general", falling, "general"),
        ),
        Role.STRONG: only(
            fig19.FormsOfSet,
            exchanged=eq8("cpt_replay_domain_saturating", falling, "strong"),
            printed=eq8("cpt_replay_domain", rising, "strong"),
        ),
    }
    return {
        "fig03": only(Fig03, fits={role: chosen(role) for role in both}),
        "fig11": only(Fig11, fits=weak),
        "fig12": only(Fig12, fits={ratio: {role: at(ratio, role) for role in both} for ratio in RATIOS}),
        "fig19": only(fig19.Result, fits=forms),
    }


def data(figure: str, world: World, known: Known) -> FigureData:
    return FigureData(figure, *world, known)


def made(kind: type[R], world: World, known: Known) -> R:
    """The analysis of a figure, by the type of its result."""
    found = figures.analyse(data(kind.FIGURE, world, known))
    assert isinstance(found, kind)
    return found


@pytest.fixture(scope="module")
def known(world: World) -> Known:
    return known_fits(world[0])


@pytest.fixture(scope="module")
def fig04(world: World, known: Known) -> Fig04:
    return made(Fig04, world, known)


@pytest.fixture(scope="module")
def fig08(world: World, known: Known) -> Fig08:
    return made(Fig08, world, known)


@pytest.fixture(scope="module")
def fig13(world: World, known: Known) -> Fig13:
    return made(Fig13, world, known)


@pytest.fixture(scope="module")
def results(fig04: Fig04, fig08: Fig08, fig13: Fig13) -> Known:
    return {"fig04": fig04, "fig08": fig08, "fig13": fig13}


Goal = Callable[[float], np.ndarray]


def goals(config: Config, schedules: list[tuple[dict[str, Any], dict[str, Any]]]) -> tuple[Goal, Goal]:
    """The goal by final losses and by their changes for some PTs and CPTs, by the known laws, for any weight."""
    lengths, unit = config.lengths, config.optimizer.peak_lr
    ends: dict[str, list[list[float]]] = {"general": [], "strong": []}
    for before, after in schedules:
        first = lrs.lr(Schedule.model_validate(before), lengths.pretraining, unit, lengths.warmup, None)
        second = lrs.lr(Schedule.model_validate(after), lengths.continual, unit, lengths.rewarmup, float(first[-1]))
        found = asdict(areas(np.concatenate([first, second]), lengths.pretraining, config.law.lambda_))
        for role, losses in ends.items():
            loss = laws.get("cpt").predict(TRUE[role], found)
            losses.append([loss[lengths.pretraining - 1], loss[-1]])
    general, strong = (np.array(losses) for losses in ends.values())

    def final(weight: float) -> np.ndarray:
        return np.asarray(weight * general[:, 1] + (1 - weight) * strong[:, 1])

    def change(weight: float) -> np.ndarray:
        return np.asarray(final(weight) - weight * general[:, 0] - (1 - weight) * strong[:, 0])

    return final, change


# --- Fig. 4 -----------------------------------------------------------------------------------------------


def test_surfaces_are_the_law_and_its_limit(fig04: Fig04) -> None:
    surface, true = fig04.surface, TRUE["general"]
    i, j = 4, 12
    expected = true["L0"] + true["A"] * surface.s1[j] ** -true["alpha"] - true["C1"] * surface.s2[i]
    assert surface.hidden[i][j] == pytest.approx(expected, abs=1e-12)
    assert fig04.limit == true["B"]
    assert fig04.shifted_is_limit
    assert surface.shifted[i][j] - surface.hidden[i][j] == pytest.approx(true["B"])
    assert fig04.share_of_limit == pytest.approx(fig04.shift_at_the_end / true["B"])


def test_a_limit_out_of_reach_is_not_drawn(world: World) -> None:
    known = known_fits(world[0], B=400.0, beta=0.001, E=20.0)  # only B*beta is determined
    result = made(Fig04, world, known)
    area = 1e-3 * (2 - 2 / 8) * world[0].lengths.pretraining
    wanted = 400 * (1 - (1 + 20 * strengths.LONGER * area) ** -0.001)
    assert not result.shifted_is_limit
    assert result.lifted == pytest.approx(wanted)
    assert result.forward.shifted[0] - result.forward.hidden[0] == pytest.approx(wanted)
    assert f"{wanted:.3f} nats" in figures.text(data("fig04", world, known), result).notes[0]


# --- Fig. 8 -----------------------------------------------------------------------------------------------


def test_best_peaks_are_those_of_the_law(fig08: Fig08, world: World) -> None:
    peak_lr = world[0].optimizer.peak_lr
    curve = fig08.panels.b.curves["strong"]
    values = np.linspace(0.01, 1.0, 34)
    final, _ = goals(world[0], [({"shape": "wsd", "end": 0.1}, {"shape": "cosine", "peak": v}) for v in values])
    for weight in (0.5, 0.6, 0.8):
        best = peak_lr * values[int(np.argmin(final(weight)))]
        assert curve.values[curve.weights.index(weight)] == pytest.approx(best, abs=0.04 * peak_lr)


def test_best_potentials_are_those_of_the_law_for_both_goals(fig08: Fig08, world: World) -> None:
    panel = fig08.panels.a
    values = np.linspace(0, 1, 34)
    final, change = goals(world[0], [({"shape": "wsd", "end": v}, LAST) for v in values])
    for curve, goal in ((panel.final["strong"], final), (panel.curves["strong"], change)):
        for weight in (0.5, 0.56, 0.6, 0.8):
            at = int(np.argmin(np.abs(np.array(curve.weights) - weight)))
            assert curve.values[at] == pytest.approx(values[int(np.argmin(goal(weight)))], abs=0.04)
    assert panel.final["strong"].values != panel.curves["strong"].values


def test_interior_counts_knobs_with_a_best_value_inside(fig08: Fig08) -> None:
    a, b, c = fig08.panels.a, fig08.panels.b, fig08.panels.c
    for found, potential, peak_lr, replay in (
        (fig08.interior.change, a.curves, b.curves, c.curves),
        (fig08.interior.final, a.final, b.final, c.final),
    ):
        lengths = [one for form in replay.values() for one in form.values()]
        expected = [[any(one.interior) for one in curves] for curves in (potential.values(), peak_lr.values(), lengths)]
        assert found.knobs == sum(map(any, expected))
        counted = [
            [one.weights > 0 for one in part.values()] for part in (found.potential, found.peak_lr, found.replay)
        ]
        assert counted == expected
    assert fig08.interior.knobs == fig08.interior.change.knobs


def test_strengths_are_named_by_the_size_of_their_shift(fig08: Fig08, world: World) -> None:
    known = [one for one in fig08.laws.values() if isinstance(one, strengths.StrengthSummary)]
    area, true = world[0].lengths.continual * world[0].optimizer.peak_lr, TRUE["general"]
    whole = true["B"] * (1 - (1 + true["E"] * area) ** -true["beta"])
    assert list(fig08.laws)[:3] == list(strengths.STRENGTHS)
    assert [one.source for one in known] == ["domain", "replay", "weak_domain"]
    assert [one.shift for one in known] == pytest.approx([whole, 0.5 * whole, WEAK * whole])
    assert all(one.limit_determined for one in known)
    changed = strengths.by_strength(data("fig08", world, known_fits(world[0], half=0.05)))
    assert [one.summary.source for one in changed.values()] == ["domain", "weak_domain", "replay"]


def test_lengths_are_those_of_the_paper_in_its_ratio(fig08: Fig08, fig13: Fig13, world: World) -> None:
    pretraining = world[0].lengths.pretraining
    steps = [str(pretraining * steps // 40_000) for steps in (20_000, 30_000, 40_000)]
    assert list(fig08.panels.c.curves["exchanged"]) == steps
    assert fig13.max_steps == pretraining * 100_000 // 40_000


# --- Fig. 13 ----------------------------------------------------------------------------------------------


def test_turning_lengths_follow_the_shift(fig13: Fig13) -> None:
    strong, moderate, weak = (fig13.curves[name] for name in strengths.STRENGTHS)
    assert strong.critical_point == pytest.approx(TRUE["general"]["L0"] + TRUE["general"]["B"])
    assert (strong.finite or 0) < (moderate.finite or 0) < (weak.finite or 0)
    assert strong.never is not None
    assert moderate.never is not None
    assert strong.never < moderate.never
    assert strong.infinite == [weight >= strong.never for weight in strong.weights]
    assert fig13.infinite["strong"] == f"infinite from w1 = {strong.never:.3f} on"
    assert strong.steps[0] == 0


# --- all of them ------------------------------------------------------------------------------------------


def test_results_are_read_as_they_were_written(results: Known, tmp_path: Path) -> None:
    for result in results.values():
        json.dumps(to_json(result), allow_nan=False)
        write_json(tmp_path / "result.json", to_json(result))
        assert read_result(tmp_path / "result.json", type(result)) == result


def test_a_missing_result_is_said(world: World, known: Known) -> None:
    with pytest.raises(UserError, match=r"fig03\.json does not exist: make it first"):
        figures.analyse(data("fig04", world, {}))
    lacking = {**known, "fig12": only(Fig12, fits={})}
    with pytest.raises(UserError, match=r"fig12\.json has no fits at 50 % replay"):
        figures.analyse(data("fig08", world, lacking))


def test_claims_judge_every_statement(results: Known, fig04: Fig04) -> None:
    stated = load().claims
    claims = Claims(claims={name: stated[name] for name in FIGURES})
    verdicts = {one.name: one for one in evaluate(claims, results)}
    assert verdicts["fig04"].word == "supported"
    for name, result in results.items():
        checks = to_json(result)["checks"]
        said = {outcome.says: outcome.holds for outcome in verdicts[name].outcomes}
        assert {check["text"]: check["holds"] for check in checks}.items() <= said.items()
    beyond = fig04.model_copy(update={"share_of_limit": 1.1})
    (verdict,) = (one for one in evaluate(claims, {"fig04": beyond}) if one.name == "fig04")
    assert [one.name for one in verdict.outcomes if not one.holds] == ["share"]


def test_everything_is_drawn(results: Known, world: World, tmp_path: Path) -> None:
    tables: dict[str, pd.DataFrame] = {}
    for name, result in results.items():
        figure, tables[name] = figures.draw(data(name, world, {}), result)
        FigureCanvasAgg(figure)
        figure.savefig(tmp_path / f"{name}.png")
        assert len(tables[name]) > 20
        assert np.isfinite(tables[name]["x"]).all()
        assert min(float(text.get_fontsize()) for text in figure.findobj(Text) if text.get_text()) >= 5
    assert "a final" in set(tables["fig08"]["panel"])


def test_words_name_the_numbers(fig04: Fig04, fig08: Fig08, fig13: Fig13, world: World) -> None:
    said = {
        name: figures.text(data(name, world, {}), result)
        for name, result in (("fig04", fig04), ("fig08", fig08), ("fig13", fig13))
    }
    assert f"{fig04.shift_at_the_end:.3f} nats" in said["fig04"].notes[0]
    assert f"{fig08.continual_steps:,} steps" in said["fig08"].shows
    assert f"{fig13.max_steps:,} steps" in said["fig13"].shows
    for one in fig13.laws.values():
        assert f"{one.shift:.3f} nats" in said["fig13"].notes[0]
    for curve, note in zip(fig13.curves.values(), said["fig13"].notes[1:], strict=True):
        assert f"{curve.start:.3f}" in note
