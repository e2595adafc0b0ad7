"""Noise of seeds, all laws on held-out schedules, and the tables of coefficients, on curves of a known law."""

import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from worlds.figures import Tables, figure_data, outcomes
from worlds.runs import TRUE, made

from cpt_dynamics import config as configs
from cpt_dynamics import figures
from cpt_dynamics.config import Config, Role
from cpt_dynamics.curves import unique_measurements
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.comparison import analyse as all_laws
from cpt_dynamics.figures.comparison.result import Result as Comparison
from cpt_dynamics.figures.kit import published, selection
from cpt_dynamics.figures.kit.joint import errors
from cpt_dynamics.figures.kit.result import FigureResult, read_result
from cpt_dynamics.figures.seeds import analyse as seeds
from cpt_dynamics.figures.seeds.result import Result as Seeds
from cpt_dynamics.files import write_json
from cpt_dynamics.laws import LAWS
from cpt_dynamics.report import coefficients
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.table import as_csv, as_latex

Data = Tables
NOISE = 0.01  # nats
FEW = (
    "cpt",
    "s1_only",
    "annealing",
    "cpt_lr_weighted",
    "chinchilla",
    "d_cpt",
    "shift_power",
    "cpt_unknown",
    "cpt_floor",
)
BOTH = (Role.GENERAL, Role.STRONG)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """The runs of both figures, evaluated on the two sets alone; there are no results on disk."""
    curves, schedules, config, experiments = made(NOISE)
    config = config.model_copy(update={"results": str(tmp_path_factory.mktemp("results"))})
    runs = {*experiments.runs_of("seeds"), *experiments.runs_of("comparison")}
    sets = [config.roles.general, config.roles.strong]
    kept = curves[curves["run"].isin(runs) & curves["validation"].isin(sets)].reset_index(drop=True)
    return kept, schedules[schedules["run"].isin(runs)].reset_index(drop=True), config, experiments


@pytest.fixture(scope="module")
def config() -> Config:
    return configs.load([])


@pytest.fixture(scope="module")
def noise(data: Data) -> Seeds:
    return seeds.analyse(figure_data("seeds", data))


@pytest.fixture(scope="module")
def compared(data: Data, noise: Seeds) -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(all_laws, "LAWS", {name: LAWS[name] for name in FEW})
        return all_laws.analyse(figure_data("comparison", data, [noise]))


# --- seeds --------------------------------------------------------------------------------------------------


def test_the_noise_of_the_curves_is_found(noise: Seeds) -> None:
    for role, validation in noise.validations.items():
        measured, relative, along = noise.noise[role], noise.noise_relative[role], noise.along[role]
        assert along is not None
        assert relative is not None
        # 12 runs with 3 seeds: 24 degrees of freedom, so within a third of the truth
        assert measured == pytest.approx(NOISE, rel=0.35)
        assert noise.residual[role] == pytest.approx(NOISE, rel=0.1)
        assert noise.offset[role] == pytest.approx(noise.offset_by_chance[role], rel=0.6)
        losses = [one.mean for one in noise.final[validation].values()]
        assert relative * np.mean(losses) == pytest.approx(measured, rel=0.2)
        assert noise.noise_of_sets[validation] == measured
        assert np.sqrt(np.mean(np.square(along.sd))) == pytest.approx(NOISE, rel=0.15)
        assert len(along.sd) == len(along.phase_step) > 10


def test_an_offset_of_whole_curves_is_told_from_scatter(data: Data) -> None:
    curves, _, config, experiments = data
    shifted = curves.assign(loss=curves["loss"] + 0.1 * (curves["seed"] - 2))  # deviations -0.1, 0, 0.1: sd 0.1
    groups = seeds.groups(experiments, experiments.figures["seeds"].runs)
    assert {len(runs) for runs in groups.values()} == {3}
    before, after = (seeds.noise_of_set(table, groups, config.roles.general) for table in (curves, shifted))
    assert after.offset == pytest.approx(0.1, rel=0.02)
    assert after.residual == pytest.approx(before.residual)
    assert after.noise == pytest.approx(np.hypot(0.1, before.noise or 0.0), rel=0.1)


def test_seeds_of_the_law(noise: Seeds) -> None:
    for role, law in noise.law.items():
        assert law is not None
        assert list(law.runs) == [1, 2, 3]
        assert law.errors[1].first == law.errors[1].own
        for seed in (2, 3):
            found = law.errors[seed]
            assert found.own.rmse is not None
            assert found.first.rmse is not None
            # its own fit follows a seed's noise a little; both are near the noise (a mean absolute error)
            assert found.own.rmse < found.first.rmse < 1.3 * NOISE
            assert found.first.over_noise == pytest.approx(0.8, abs=0.4)
        first, own = (
            np.mean([getattr(law.errors[seed], fit).mean_relative_error for seed in (2, 3)]) for fit in ("first", "own")
        )
        assert law.first_on_others == pytest.approx(first)
        assert law.first_over_own == pytest.approx(first / own)
        assert all(abs(one.error or 0.0) < 2 * NOISE for one in law.final.values())
        for name in ("L0", "A", "alpha", "B"):
            over = law.parameters[name]
            assert len(over.values) == 3
            assert over.mean == pytest.approx(TRUE[role][name], rel=0.15)
            assert over.low is not None
            assert over.mean is not None
            assert over.high is not None
            assert over.low < over.mean < over.high


def test_runs_with_one_seed_are_skipped_and_without_repeats_nothing_is_known(data: Data) -> None:
    curves, schedules, config, experiments = data
    few = copy.copy(experiments)
    entry = experiments.figures["seeds"]
    some = [run for run in entry.runs if run == "cpt_wsd.seed2" or ".seed" not in run]
    object.__setattr__(few, "figures", {**experiments.figures, "seeds": entry.model_copy(update={"runs": some})})
    found = seeds.analyse(figure_data("seeds", (curves, schedules, config, few)))
    assert list(found.groups) == ["cpt_wsd"]
    assert "cpt_cosine" in found.skipped
    assert (found.noise[Role.GENERAL] or 0.0) > 0
    assert found.law[Role.GENERAL] is None  # no second seed has all runs of Fig. 3

    alone = [run for run in some if ".seed" not in run]
    object.__setattr__(few, "figures", {**experiments.figures, "seeds": entry.model_copy(update={"runs": alone})})
    inputs = figure_data("seeds", (curves, schedules, config, few))
    found = seeds.analyse(inputs)
    for values in (found.noise, found.noise_relative, found.along, found.offset, found.residual, found.law):
        assert values == dict.fromkeys(BOTH)
    assert set(found.noise_of_sets.values()) == {None}
    _, table = figures.draw(inputs, found)
    assert len(table)
    checks = outcomes(found)
    assert checks
    assert not any(check.holds for check in checks)
    (note,) = figures.text(inputs, found).notes
    assert "No run" in note


def test_a_seed_without_losses_is_an_error(data: Data) -> None:
    curves, schedules, config, experiments = data
    some = curves[curves["run"] != "cpt_wsd.seed2"]
    with pytest.raises(UserError, match=r"no rows of the run 'cpt_wsd.seed2'"):
        seeds.analyse(figure_data("seeds", (some, schedules, config, experiments)))
    lost = (curves["run"] == "cpt_wsd.seed2") & (curves["phase"] == "continual")
    with pytest.raises(UserError, match=r"run 'cpt_wsd\.seed2' has no losses on 'handbook' in CPT"):
        seeds.analyse(figure_data("seeds", (curves[~lost], schedules, config, experiments)))


# --- all laws -----------------------------------------------------------------------------------------------


def test_the_law_that_made_the_curves_is_best_among_unlike_ones(compared: Comparison) -> None:
    for found in compared.sets.values():
        laws = found.laws
        error = {name: one.error or 0.0 for name, one in laws.items()}
        assert 0 < error["cpt"] < 1.3 * 0.8 * NOISE / 2.3  # mean size of the noise over the lowest losses
        assert error["cpt"] < error["s1_only"] < error["annealing"]
        assert sorted(one.rank or 0 for one in laws.values()) == list(range(1, len(laws) + 1))
        assert found.best is not None
        assert laws[found.best].rank == 1
        assert laws["annealing"].rank == len(laws)
        assert found.over_s1_only == error["cpt"] / error["s1_only"]
        assert found.over_best == error["cpt"] / error[found.best]
        assert laws["cpt"].difference is None
        difference = laws["annealing"].difference
        assert difference is not None
        assert (difference.low or 0.0) > 0
        assert (laws["cpt"].r2 or 0.0) > 0.99
        assert (laws["cpt"].shift, laws["annealing"].shift) == (True, False)
        assert laws["cpt"].n_parameters == 8
        for law in laws.values():
            assert list(law.runs) == compared.heldout_runs


def test_pooled_errors_are_those_over_all_unseen_rows(data: Data, compared: Comparison) -> None:
    curves, schedules, config, _ = data
    runs = [*compared.fitted_runs, *compared.heldout_runs]
    features = selection.with_areas(selection.of_runs(curves, runs), schedules, config)
    once = unique_measurements(features[features["validation"] == config.roles.strong], schedules)
    unseen = selection.continual(once, compared.heldout_runs, config.roles.strong)
    found = compared.sets[Role.STRONG]
    law = found.laws["cpt"]
    again = errors(law.fit, unseen)
    assert again["n"] == found.heldout_rows.unseen
    assert law.error == pytest.approx(again["mean_relative_error"])
    assert law.r2 == pytest.approx(again["r2"])
    noise = compared.noise_relative[Role.STRONG]
    assert law.over_noise == pytest.approx((law.error or 0.0) / (noise or np.inf))


def test_laws_that_cannot_read_the_runs_are_named_with_the_reason(compared: Comparison) -> None:
    left_out = compared.not_applicable
    assert set(left_out) == {"chinchilla", "d_cpt", "shift_power", "cpt_unknown"}
    assert "model sizes" in left_out["chinchilla"]
    assert "'share'" in left_out["d_cpt"]
    assert "cpt_floor" in all_laws.LATER  # the comparison stays as it was
    assert set(compared.sets[Role.GENERAL].laws) == {
        *("cpt", "s1_only", "annealing", "cpt_lr_weighted_01", "cpt_lr_weighted_02")
    }


def test_every_other_law_has_a_reason_or_is_fitted(data: Data) -> None:
    curves, schedules, config, experiments = data
    some = selection.of_runs(curves, experiments.runs_of("comparison"))
    features = selection.with_replay(selection.with_areas(some, schedules, config), experiments, config)
    readable = {name for name, law in LAWS.items() if not all_laws.unfit(law, features)}
    assert {"cpt", "cpt_power", "cpt_fsl", "cpt_multi_power", "multi_power", "fsl", "annealing"} <= readable
    assert not {name for name in readable if name.startswith(("cpt_replay", "cpt_size", "cmr", "mixing"))}


def test_no_held_out_runs_is_an_error(data: Data) -> None:
    curves, schedules, config, experiments = data
    few = copy.copy(experiments)
    entry = experiments.figures["comparison"].model_copy(update={"heldout": []})
    object.__setattr__(few, "figures", {**experiments.figures, "comparison": entry})
    with pytest.raises(UserError, match="comparison has no held-out runs"):
        all_laws.analyse(figure_data("comparison", (curves, schedules, config, few)))


def test_both_figures_draw_and_have_checks_and_a_text(data: Data, noise: Seeds, compared: Comparison) -> None:
    for result in (noise, compared):
        inputs = figure_data(result.FIGURE, data)
        _, table = figures.draw(inputs, result)
        assert table["y"].notna().all()
        assert set(table["panel"].str.contains("general|strong")) >= {True}
        checks = outcomes(result)
        assert len(checks) == 6
        assert all(check.value is not None for check in checks)
        text = figures.text(inputs, result)
        assert text.shows
        assert text.notes
    assert len(table) == 2 * (5 * 12 + 1)  # five laws with eleven runs and their mean, and the noise


def test_without_seeds_no_error_is_in_units_of_noise(data: Data) -> None:
    inputs = figure_data("comparison", data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(all_laws, "LAWS", {name: LAWS[name] for name in ("cpt", "s1_only")})
        found = all_laws.analyse(inputs)
    assert found.noise_relative == dict.fromkeys(BOTH)
    assert found.sets[Role.GENERAL].laws["cpt"].over_noise is None
    _, table = figures.draw(inputs, found)
    assert "noise" not in set(table["x"])


# --- coefficients -------------------------------------------------------------------------------------------

EQ4 = {"L0": 2.5, "A": 0.5, "alpha": 0.4, "C1": 0.2, "C2": 0.3, "B": 0.7, "E": 30.0, "beta": 0.25}
FORM = {"B": 0.5, "E": 3.0, "beta": 0.2}


def fit(**more: float) -> Any:
    return SimpleNamespace(parameters={**EQ4, **more}, r2=0.99)


def results() -> dict[str, FigureResult]:
    """What the analyses of the figures with printed fits give, cut down to what the tables read."""
    form = SimpleNamespace(parameters=FORM, r2=0.98)
    unknown = {"L0": 2.0, "A": 0.3, "S1pt": 1.5, "alpha": 0.2, "B": -0.9, "E": 12.0, "beta": 0.1, "C2": 0.1}
    batches = ("cpt_constant", "batch_half", "batch_double", "sequence_double")
    forms = SimpleNamespace(phase_step={"power": form, "exponential": SimpleNamespace(parameters=FORM, r2=0.9)})
    variants = {"lr_weighted_01": fit(), "lr_weighted_02": fit(), "power": fit(z1=0.9, z2=1.1)}
    replay = fit(a1=0.1, a2=2.0)

    def both(value: Any) -> dict[Role, Any]:
        return dict.fromkeys(BOTH, value)

    parts: dict[str, dict[str, Any]] = {
        "fig02": {"sets": both(SimpleNamespace(forms=forms))},
        "fig03": {"fits": both(SimpleNamespace(chosen=fit()))},
        "fig11": {"fits": {Role.GENERAL: fit(), Role.WEAK: fit(B=-0.4)}},
        "fig12": {"fits": {share: both(fit()) for share in ("33", "50", "67")}},
        "fig14": {"sets": both(SimpleNamespace(form=form))},
        "fig15": {"fits": both(fit(g1=0.1, g2=0.2, g3=0.3, F=3.0))},
        "fig16": {"fits": {model: both(fit()) for model in ("medium", "large")}},
        "fig17": {"sets": both(SimpleNamespace(runs=dict.fromkeys(batches, form)))},
        "fig18": {"sets": {role: SimpleNamespace(parameters=unknown, r2=0.97) for role in (Role.PROXY, *BOTH)}},
        "fig19": {"fits": both(SimpleNamespace(printed=replay, exchanged=replay))},
        "fig20": {"sets": both(SimpleNamespace(variants=variants))},
    }
    return {figure: figures.result_type(figure).model_construct(**part) for figure, part in parts.items()}


def material(config: Config, results: dict[str, FigureResult]) -> Material:
    found = Material(config)
    shown = {name: entry for name, entry in found.experiments.figures.items() if name in results}
    found.__dict__["experiments"] = replace(found.experiments, figures=shown)
    found.__dict__["_read"] = results  # in place of files
    return found


def test_every_printed_fit_stands_beside_one_of_this_scale(config: Config) -> None:
    found = material(config, results())
    rows = [(row, table) for table in (coefficients.eq4(found), coefficients.others(found)) for row in table.rows]
    printed = [row for row, _ in rows if row[2].text.startswith("paper")]
    assert len(printed) == len(published.load())
    assert all(len(row) == len(table.columns) for row, table in rows)
    texts = {(row[0].text, row[1].text, row[2].text): [cell.text for cell in row[3:]] for row, _ in rows}
    assert len(texts) == len(rows)  # every row says what it is
    assert texts["3", "D_pt", "paper"][0] == "3.057"
    assert texts["3", "D_cpt", "paper"][5:7] == ["-0.666", "5662"]
    assert texts["12", "D_pt", "here, replay 33 %"][:4] == ["2.500", "0.500", "0.400", "0.200"]
    assert texts["16", "D_pt", "here, large"][-1] == "0.9900"
    assert texts["20", "D_cpt", "paper, Eq. 10"][-2] == "z1 0.693, z2 0.962"
    assert texts["15", "D_pt", "here, Eq. 7, all sizes"][-2:] == ["g1 0.100, g2 0.200, g3 0.300, F 3.00", "0.9900"]


def test_published_values_go_with_the_right_fit(config: Config) -> None:
    table = coefficients.others(material(config, results()))
    rows = [[cell.text for cell in row] for row in table.rows if row[0].text == "17" and row[1].text == "D_pt"]
    place = {row[2]: i for i, row in enumerate(rows)}
    for here, paper, size in (
        ("here, batch halved", "paper, sequence 4K, batch 256", "0.450"),
        ("here, batch doubled", "paper, sequence 2K, batch 4096", "0.360"),
        ("here, sequence doubled", "paper, sequence 8K, batch 512", "0.290"),
    ):
        assert place[here] == place[paper] + 1
        assert rows[place[paper]][8] == size  # B


def test_a_fit_that_is_not_where_it_should_be_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fig18.json"
    fitted = {"proxy": {"role": "proxy"}}
    write_json(path, {"figure": "fig18", "title": "", "sets": fitted})
    with pytest.raises(UserError, match=r"fig18\.json: .*snakemake fig18"):
        read_result(path, figures.result_type("fig18"))


def test_tables_are_latex(config: Config) -> None:
    found = material(config, results())
    for table in (coefficients.eq4(found), coefficients.others(found)):
        text = as_latex(table, "table_all")
        body = text.split(r"\endfoot")[1].split(r"\end{longtable}")[0].strip().splitlines()
        assert {line.count(" & ") for line in body} == {len(table.columns) - 1}
        assert "U+" not in text
        assert len(as_csv(table).splitlines()) == len(table.rows) + 1


def test_figures_that_a_scale_leaves_out_are_skipped(config: Config) -> None:
    found = material(config, {"fig03": results()["fig03"]})
    assert {row[0].text for row in coefficients.eq4(found).rows} == {"3"}
    with pytest.raises(UserError, match="none of the figures fig02"):
        coefficients.others(found)
