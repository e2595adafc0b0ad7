"""laws, fit, predict and compare: on logs of every format, and one line for every mistake."""

import argparse
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from worlds.curves import areas_at

from cpt_dynamics import curves, laws, logs
from cpt_dynamics.cli import main
from cpt_dynamics.curves import public
from cpt_dynamics.figures.public_curves import laws as public_curves
from cpt_dynamics.files import read_json, write_json
from cpt_dynamics.fitting import varpro
from cpt_dynamics.fitting.logged import read_fit

LAMBDA, PEAK, STEPS, MORE = 0.98, 1e-2, 600, 300
TRUE = {"L0": 3.0, "A": 0.5, "alpha": 0.5, "C1": 0.6, "C2": 0.5, "B": 0.4, "E": 10.0, "beta": 0.4}
FIT = ("--lambda", str(LAMBDA), "--shift", "positive")
SCHEDULE = "constant 600 at 1e-2; continual: linear 300 to 1e-4"
Run = Callable[..., tuple[int, str, str]]


def rates(before: str, after: str) -> np.ndarray:
    share = np.arange(1, STEPS + 1) / STEPS
    first = {"flat": np.ones(STEPS), "wsd": np.interp(share, [0.7, 1], [1, 0.1]), "linear": 1.05 - share}[before]
    last = first[-1]
    second = {
        "flat": np.full(MORE, last),
        "fall": last * (1 - 0.99 * np.arange(1, MORE + 1) / MORE),
        "rewarm": np.interp(np.arange(1, MORE + 1), [0, 30, MORE], [last, 0.9, 0.1]),
        "": np.zeros(0),
    }[after]
    return PEAK * np.concatenate([first, second])


def rows_of(run: str, before: str, after: str, noise: float = 2e-4) -> pd.DataFrame:
    """Every step of a run, with a loss that follows the law at some of them."""
    lr = rates(before, after)
    features = areas_at(lr, STEPS, np.arange(1, len(lr) + 1), LAMBDA)
    loss = laws.get("cpt").predict(TRUE, features) + np.random.default_rng(zlib.crc32(run.encode())).normal(
        0, noise, len(lr)
    )
    step = np.arange(1, len(lr) + 1)
    measured = (step % 15 == 0) | np.isin(step, STEPS + 2 ** np.arange(6)) | (step == len(lr))
    phase = np.where(step > STEPS, "continual", "pretraining")
    return pd.DataFrame(
        {"run": run, "step": step, "lr": lr, "phase": phase, "loss_law_nats": np.where(measured, loss, np.nan)}
    )


RUNS = {
    "steady": ("flat", "flat"),
    "cooled": ("flat", "fall"),
    "annealed": ("wsd", "flat"),
    "again": ("wsd", "rewarm"),
    "sloped": ("linear", "rewarm"),
}


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Searches with fewer shapes and starts, which is enough for curves that follow the law."""
    search = varpro.search

    def few(problem: Any, n_starts: int, n_screen: int, *rest: Any) -> Any:
        return search(problem, min(n_starts, 3), min(n_screen, 48), *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(varpro, "search", few)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """all.csv and all.parquet hold the same runs; states/RUN/trainer_state.json one each, thin.csv only losses."""
    folder = tmp_path_factory.mktemp("data")
    tables = {run: rows_of(run, *kinds) for run, kinds in RUNS.items()}
    pd.concat(tables.values()).to_csv(folder / "all.csv", index=False)
    log = logs.read_log(folder / "all.csv")
    curves.write(folder / "all.parquet", log.curves)
    curves.write_schedules(folder / "all.schedules.parquet", log.schedules)
    both = log.curves.assign(validation="code", loss=log.curves["loss"] + 0.5)
    curves.write(folder / "two.parquet", pd.concat([log.curves, both]))
    for run, table in tables.items():
        (folder / "states" / run).mkdir(parents=True)
        entries: list[dict[str, Any]] = []
        for row in table.to_dict("records"):
            entries.append({"step": row["step"], "learning_rate": row["lr"], "loss": 9.0})
            if row["loss_law_nats"] == row["loss_law_nats"]:
                entries.append({"step": row["step"], "eval_law_loss": row["loss_law_nats"]})
        state = {"best_global_step": None, "log_history": entries}
        (folder / "states" / run / "trainer_state.json").write_text(json.dumps(state))
    thin = tables["cooled"].dropna()[["step", "lr", "loss_law_nats"]]
    thin.rename(columns={"loss_law_nats": "loss"}).to_csv(folder / "thin.csv", index=False)
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture(scope="module")
def fitted(data: Path) -> Path:
    """A fit with intervals."""
    path = data / "fit.json"
    assert main([str(a) for a in ("fit", data / "all.csv", *FIT, "--intervals", "--out", path)]) == 0
    return path


def answer(run: Run, *arguments: object) -> Any:
    """What a command prints with --json; NaN and infinity are refused."""
    code, out, err = run(*arguments, "--json")
    assert (code, err) == (0, "")

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(out, parse_constant=refuse)


def is_drawn(path: Path) -> bool:
    """A png with more than a few colours."""
    return len(np.unique(imread(path).reshape(-1, 4), axis=0)) > 50


# laws


def test_every_law_is_listed_and_described(run: Run) -> None:
    code, out, _ = run("laws")
    assert code == 0
    listed = [line.split()[0] for line in out.splitlines()[3:] if not line.startswith(" ")]
    assert listed == list(laws.LAWS)
    assert max(map(len, out.splitlines())) <= 100
    everything = answer(run, "laws")
    assert [law["name"] for law in everything] == list(laws.LAWS)
    for law in everything:
        code, out, _ = run("laws", law["name"])
        assert code == 0
        assert max(map(len, out.splitlines())) <= 100
        assert all(f"\n{p['name']} " in out for p in law["parameters"])
        assert law["linear"] + law["nonlinear"] == len(law["parameters"])
    cpt = answer(run, "laws", "cpt")
    assert (cpt["linear"], cpt["nonlinear"], cpt["baseline"]) == (5, 3, "s1_only")
    assert cpt["parameters"][5] == {
        "name": "B",
        "lower": None,
        "upper": None,
        "bounds_per": None,
        "linear": True,
        "meaning": laws.get("cpt").parameters[5].description,
    }


def test_a_formula_is_what_the_law_computes() -> None:
    """Each formula without sums over changes is evaluated as Python and compared with the law."""
    rng = np.random.default_rng(0)
    names = ("s1pt", "s2pt", "s1cpt", "s2cpt", "s2pt_lr", "s2cpt_lr", "phase_step", "params", "tokens", "replay")
    features = {n: rng.uniform(0.2, 0.9, 5) for n in (*names, "share", "injected", "initial_loss", "early_decline")}
    words = {"S1pt": "s1pt", "S2pt": "s2pt", "S1cpt": "s1cpt", "S2cpt": "s2cpt"}
    checked = 0
    for law in laws.LAWS.values():
        if "history" in law.inputs:
            assert "sum over" in law.formula()
            continue
        point = {p.name: float(rng.uniform(0.3, 1.5)) for p in law.parameters}
        point |= {name: -point[name] for name in law.linear if rng.random() < 0.3}
        text = law.formula(lambda name, point=point: repr(point[name])).replace("^", "**")  # type: ignore[misc]
        known = {word: features[name] for word, name in words.items()}
        scope = {**features, **known, "exp": np.exp, "ln": np.log}
        assert eval(text, scope) == pytest.approx(law.predict(point, features), rel=1e-12), law.name
        checked += 1
    assert checked > 30


# fit


@pytest.mark.parametrize("file", ["all.csv", "all.parquet", "states"])
def test_a_fit_finds_the_law_in_every_format(file: str, data: Path, run: Run, tmp_path: Path) -> None:
    logs = [data / file]
    if file == "states":
        logs = [data / "states" / name / "trainer_state.json" for name in RUNS]
        logs = [*logs, "--pretraining-steps", STEPS, "--unit", "nats"]  # type: ignore[list-item]
    found = answer(run, "fit", *logs, *FIT, "--out", tmp_path / "fit.json")
    assert found["parameters"]["C2"] == pytest.approx(TRUE["C2"], rel=0.05)
    assert found["combinations"]["B*beta*E"] == pytest.approx(TRUE["B"] * TRUE["beta"] * TRUE["E"], rel=0.1)
    assert found["metrics"]["continual"]["mean_relative_error"] < 2e-4
    assert found["skill"]["value"] > 0.9
    assert found["runs"] == {"fitted": list(found["runs"]["fitted"]), "held_out": []}
    assert set(found["runs"]["fitted"]) == set(RUNS)
    assert found["validation"] == "law"
    assert found["intervals"] is None
    assert found["rows"]["used"] == found["n_points"]
    assert read_json(tmp_path / "fit.json") == found
    again, content = read_fit(str(tmp_path / "fit.json"))
    assert again.parameters == found["parameters"]
    assert content == found


def test_the_text_of_a_fit(data: Path, run: Run, tmp_path: Path) -> None:
    figure = tmp_path / "fit.png"
    code, out, err = run("fit", data / "all.csv", *FIT, "--exclude", "cooled", "--plot", figure, "--first-step", 30)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 100
    for words in (
        "loss = L0 + A*(S1pt + S1cpt)^-alpha - C1*S2pt - C2*S2cpt + B*(1 - (1 + E*S1cpt)^-beta)",
        "no intervals: --intervals refits",
        "sum of Huber terms",
        "converged (optimality",
        "bounds: none reached",
        "fitted, after a transfer",
        "held out: cooled",
        "skill: 0.9",
        "without 4 of pre-training before",
        "condition number",
        "the tokens seen are unknown",
        f"figure: {figure}",
    ):
        assert words in out, words
    assert is_drawn(figure)


def test_intervals_come_from_curves_that_were_left_out(fitted: Path, data: Path, run: Run) -> None:
    found = read_json(fitted)
    assert [curve["group"] for curve in found["left_out"]["curves"]] == list(RUNS)
    for name in ("L0", "C1", "C2"):
        interval = found["intervals"]["parameters"][name]
        assert interval["lower"] < interval["estimate"] < interval["upper"]
        assert interval["estimate"] == pytest.approx(TRUE[name], abs=5 * interval["sd"])
    assert found["intervals"]["end"]["half_width"] < 2e-3
    assert found["seeds"] is None
    short = ("--law", "cpt_log", "--only", "steady,again,sloped", "--starts", 2)
    _, out, _ = run("fit", data / "all.csv", "--lambda", LAMBDA, *short, "--intervals", "--fix", "alpha=0.5")
    assert "band for the mean error of a curve" in out
    assert "not defined, as a parameter of its baseline s1_only_log is fixed" in out
    assert [line.split() for line in out.splitlines() if line.startswith("alpha ")] == [["alpha", "0.5", "-", "fixed"]]


def test_profiles_and_a_sweep_of_lambda(data: Path, run: Run, tmp_path: Path) -> None:
    words = ("--law", "annealing", "--profile", "C", "--sweep-lambda", "0.9,0.98,0.995", "--out", tmp_path / "fit.json")
    _, out, _ = run("fit", data / "all.csv", "--lambda", LAMBDA, "--only", "steady,annealed", *words)
    assert "profile of C: " in out
    assert "choose another with --lambda" in out
    found = read_json(tmp_path / "fit.json")
    (profile,) = found["profiles"]
    assert profile["parameter"] == "C"
    assert profile["lower"] < profile["estimate"] < profile["upper"]
    assert [one["lambda"] for one in found["lambda_sweep"]] == [0.9, 0.98, 0.995]
    assert min(found["lambda_sweep"], key=lambda one: one["objective"])["best"]
    assert sum(one["best"] for one in found["lambda_sweep"]) == 1


def test_fixed_parameters_signs_and_the_method(data: Path, run: Run) -> None:
    both = ("fit", data / "all.parquet", "--lambda", LAMBDA, "--law", "cpt_exponential", "--only", "steady,again")
    found = answer(run, *both, "--method", "paper", "--starts", 2, "--fix", "alpha=0.5", "L0=3", "--shift", "negative")
    assert found["method"] == "paper"
    assert found["n_starts"] == 2
    assert found["held"] == {"alpha": 0.5, "L0": 3.0}
    assert found["parameters"]["B"] <= 0
    assert sorted(found["runs"]["fitted"]) == ["again", "steady"]


def test_without_a_transfer_the_law_is_annealing(data: Path, run: Run) -> None:
    found = answer(run, "fit", data / "thin.csv", "--pretraining-steps", "all", "--lambda", LAMBDA)
    assert found["law"] == "annealing"
    assert any("no row comes after a transfer" in line for line in found["hints"])
    assert any("all rows are of the run thin" in line for line in found["warnings"])
    assert found["skill"] == {"value": None, "reason": "no row comes after a transfer"}


def test_without_known_pretraining_the_law_says_so(data: Path, run: Run) -> None:
    found = answer(run, "fit", data / "thin.csv", "--starts", 3)
    assert found["law"] == "cpt_unknown"
    assert any("no run has known pre-training" in line for line in found["hints"])
    _, out, _ = run("fit", data / "thin.csv", "--law", "cpt_log", "--starts", 3)
    assert "the pre-training of thin is unknown and taken as none" in out
    assert "lr of 820 of 900 steps interpolated between logged steps" in out


def test_one_of_several_validation_sets(data: Path, run: Run) -> None:
    found = answer(run, "fit", data / "two.parquet", "--validation", "code", "--law", "annealing")
    assert found["validation"] == "code"
    assert any("no schedules beside it" in note for note in found["notes"])


def test_replay_and_size_come_from_options(data: Path, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    ratios = [f"{name}={0.1 * i}" for i, name in enumerate(RUNS)]
    few = ("--starts", 2, "--lambda", LAMBDA, "--fix", "alpha=0.5", "E=10", "beta=0.4")
    both = ("--only", "steady,cooled,annealed,again,sloped")
    law = "cpt_replay_general"
    answer(run, "fit", data / "all.csv", *both, "--law", law, *few, "--replay", *ratios, "--out", path)
    low, high = (
        answer(run, "predict", path, "--schedule", SCHEDULE, "--replay", share)["runs"]["schedule"]["end"]["predicted"]
        for share in (0.05, 0.35)
    )
    assert low != high
    refused(run, tmp_path, "give --replay RUN=SHARE", "predict", path, "--schedule", SCHEDULE)
    sizes = [f"{name}={1e6 * (1 + i % 2)}" for i, name in enumerate(RUNS)]
    found = answer(run, "fit", data / "all.csv", "--law", "cpt_size", *few, "--params", *sizes)
    assert found["ranges"]["params"] == [1e6, 2e6]


def test_values_for_one_log(data: Path, run: Run) -> None:
    one, other = (data / "states" / name / "trainer_state.json" for name in ("steady", "cooled"))
    found = answer(
        run,
        *("fit", one, other, "--run", f"{one}=a", "--law", "annealing"),
        *("--pretraining-steps", STEPS, "--pretraining-steps", f"{other}=500"),
        *("--schedule", f"{one}=constant 900 at 1e-2"),
    )
    assert found["runs"]["fitted"] == ["a", "cooled"]
    assert "a: lr from the stated schedule, which agrees with the lr logged at 900 steps" in found["notes"]


def test_one_log_in_two_files(data: Path, run: Run, tmp_path: Path) -> None:
    table = pd.read_csv(data / "thin.csv")
    one, other = tmp_path / "one, two.csv", tmp_path / "lr.csv"
    table.drop(columns="lr").to_csv(one, index=False)
    table.drop(columns="loss").to_csv(other, index=False)
    few = ("--law", "annealing", "--pretraining-steps", "all")
    refused(run, tmp_path, "no column holds the learning rate", "fit", one, *few)
    one = one.rename(tmp_path / "one.csv")
    found = answer(run, "fit", f"{one},{other}", *few)
    assert list(found["logs"]) == [str(one), str(other)]
    assert found["n_points"] == len(table)


def test_a_run_of_another_model_is_no_part_of_the_fit(data: Path, run: Run, tmp_path: Path) -> None:
    few = ("--law", "annealing", "--params", "sloped=2e6", "1e6", "--plot", tmp_path / "x.svg")
    found = answer(run, "fit", data / "all.parquet", "--exclude", "sloped", *few)
    assert found["held_out"]["sloped"]["all"]["n"] == 66
    refused(run, tmp_path, "is of one model, but the runs are of 2", "fit", data / "all.csv", *few)


# predict


def test_a_schedule_is_predicted(fitted: Path, run: Run, tmp_path: Path) -> None:
    out_file, figure = tmp_path / "p.csv", tmp_path / "p.svg"
    arguments = ("predict", fitted, "--schedule", SCHEDULE, "--every", 100)
    found = answer(run, *arguments, "--out", out_file, "--plot", figure)
    assert [row["step"] for row in found["rows"]] == list(range(100, 901, 100))
    schedule = found["runs"]["schedule"]
    truth = rows_of("x", "flat", "fall", noise=0)["loss_law_nats"]
    assert schedule["end"]["predicted"] == pytest.approx(truth.iloc[-1], abs=2e-3)
    assert schedule["transfer"]["predicted"] == pytest.approx(truth.iloc[STEPS - 1], abs=2e-3)
    assert schedule["end"]["lower"] < schedule["end"]["predicted"] < schedule["end"]["upper"]
    assert schedule["highest_after"]["predicted"] >= schedule["transfer"]["predicted"]
    table = pd.read_csv(out_file)
    assert table["predicted"].tolist() == pytest.approx([row["predicted"] for row in found["rows"]])
    assert figure.read_text().count("<path") > 20
    code, out, _ = run(*arguments)
    assert code == 0
    assert "at the transfer, step 600" in out
    assert "held-out curves of the fit" in out
    assert max(map(len, out.replace(str(fitted), "fit.json").splitlines())) <= 100


def test_a_prediction_says_what_is_doubtful(fitted: Path, run: Run) -> None:
    idle = answer(run, "predict", fitted, "--schedule", f"{SCHEDULE}; constant 51 at 0")
    assert any("the LR is 0 for 51 steps" in line for line in idle["warnings"])
    far = answer(run, "predict", fitted, "--schedule", "constant 600 at 3e-2; continual: constant 3000")
    assert any(line.startswith("s1cpt is ") for line in far["warnings"])
    near = answer(run, "predict", fitted, "--schedule", "constant 600 at 1e-2; continual: linear 300 to 1e-3")
    assert near["warnings"] == []


def test_logged_runs_are_predicted_with_their_errors(fitted: Path, data: Path, run: Run, tmp_path: Path) -> None:
    figure = tmp_path / "p.png"
    arguments = ("predict", fitted, data / "all.parquet", "--only", "sloped,again")
    found = answer(run, *arguments, "--plot", figure)
    assert list(found["runs"]) == ["again", "sloped"]
    assert found["runs"]["sloped"]["errors"]["continual"]["mean_relative_error"] < 1e-3
    logged = [row for row in found["rows"] if row["loss"] is not None]
    assert len(logged) == found["runs"]["again"]["errors"]["all"]["n"] + found["runs"]["sloped"]["errors"]["all"]["n"]
    assert is_drawn(figure)
    _, out, _ = run(*arguments)
    assert "all logged rows" in out
    found = answer(run, "predict", fitted, data / "two.parquet", "--only", "sloped")  # of the fit's validation set
    assert any("no schedules beside it" in note for note in found["notes"])
    assert found["runs"]["sloped"]["errors"]["all"]["mean_relative_error"] < 5e-3


def test_steps_before_the_first_lr_have_no_prediction(run: Run, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    base = ("fit", data / "all.csv", "--law", "annealing", "--warmup", "true-in-S1", "--lambda", LAMBDA, "--out", path)
    answer(run, *base)
    schedule = "delayed; warmup 100 to 1e-2; constant 500; continual: linear 300 to 0"
    found = answer(run, "predict", path, "--schedule", schedule, "--every", 1)
    assert [row["step"] for row in found["rows"]] == list(range(2, 901))


# compare


def test_averages_of_laws_are_compared(data: Path, run: Run, tmp_path: Path) -> None:
    base = ("compare", data / "all.csv", *FIT, "--fit-runs", "steady,annealed,again", "--phase", "continual")
    names = "cpt,s1_only,cpt+s1_only,stacked:cpt+s1_only"
    found = answer(run, *base, "--laws", names)
    errors = {law: found["mean"][law]["unseen"]["mean_relative_error"] for law in names.split(",")}
    assert errors["cpt"] < errors["cpt+s1_only"] < errors["s1_only"]
    assert errors["stacked:cpt+s1_only"] < errors["cpt+s1_only"]
    code, out, _ = run(*base, "--laws", "cpt+s1_only", "--shift", "positive")
    assert code == 0
    assert "cpt+s1_only" in out
    refused(run, tmp_path, "names a law twice", *base, "--laws", "cpt+cpt")
    refused(run, tmp_path, "there is no law ''", *base, "--laws", "cpt+")
    refused(run, tmp_path, "reads replay", *base, "--laws", "cpt+cpt_noise_replay")


def test_the_lr_of_a_checkpoint_is_an_option(data: Path, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    both = (
        "fit",
        data / "thin.csv",
        "--law",
        "cpt_unknown_noise",
        "--starts",
        2,
        "--fix",
        "c=20",
        "E=10",
        "beta=0.4",
        "K=1",
    )
    ends = []
    for rate in (0, 1e-2):
        answer(run, *both, "--initial-lr", rate, "--out", path)
        words = ("predict", path, "--schedule", "continual: constant 300 at 1e-2", "--initial-lr", f"schedule={rate}")
        ends.append(answer(run, *words)["runs"]["schedule"]["end"]["predicted"])
    assert ends[0] != ends[1]
    known = ("fit", data / "all.csv", *FIT, "--initial-lr", "steady=1e-3")
    refused(run, tmp_path, "there is no run 'steady' that needs it", *known)
    refused(run, tmp_path, "with a number from 0", *both, "--initial-lr", "-1")


def test_laws_are_compared_on_other_runs(data: Path, run: Run, tmp_path: Path) -> None:
    figure, out_file = tmp_path / "c.pdf", tmp_path / "c.json"
    base = ("compare", data / "all.csv", *FIT, "--laws", "cpt,s1_only", "--fit-runs", "steady,annealed,again")
    code, out, _ = run(*base, "--plot", figure, "--out", out_file, "--phase", "continual")
    found = read_json(out_file)
    (split,) = found["splits"]
    assert split["test_runs"] == ["cooled", "sloped"]
    good, bad = (found["mean"][law]["unseen"]["mean_relative_error"] for law in ("cpt", "s1_only"))
    assert good < 1e-3 < bad
    assert split["rows"]["cooled"]["all"] == split["rows"]["cooled"]["unseen"]
    assert figure.read_bytes().startswith(b"%PDF")
    assert figure.stat().st_size > 5000
    assert code == 0
    assert "fitted: steady, annealed, again; tested: cooled, sloped" in out
    assert max(map(len, out.splitlines())) <= 100


def test_without_test_runs_each_is_left_out(data: Path, run: Run, tmp_path: Path) -> None:
    figure = tmp_path / "c.png"
    three = ("--only", "steady,annealed,sloped", "--lambda", LAMBDA, "--laws", "annealing,annealing_s1_only")
    found = answer(run, "compare", data / "all.parquet", *three, "--plot", figure)
    assert [split["test_runs"] for split in found["splits"]] == [["annealed"], ["sloped"], ["steady"]]
    errors = [split["laws"]["annealing"]["runs"][split["test_runs"][0]]["all"]["mae"] for split in found["splits"]]
    assert found["mean"]["annealing"]["all"]["mae"] == pytest.approx(np.mean(errors))
    assert is_drawn(figure)


def test_runs_that_repeat_a_pretraining_are_fitted_once(run: Run, data: Path, tmp_path: Path) -> None:
    trunk = rows_of("trunk", "flat", "")
    branch = rows_of("branch", "flat", "fall")
    branch.loc[: STEPS - 1, "loss_law_nats"] = trunk["loss_law_nats"]
    pd.concat([trunk, branch, rows_of("again", "wsd", "rewarm")]).to_csv(tmp_path / "shared.csv", index=False)
    found = answer(run, "fit", tmp_path / "shared.csv", "--law", "annealing")
    assert found["rows"]["left_out_shared"] == 40
    assert found["runs"]["fitted"] == ["trunk", "branch", "again"]
    compared = answer(run, "compare", tmp_path / "shared.csv", "--laws", "annealing", "--test-runs", "branch")
    (split,) = compared["splits"]
    assert split["fitted_runs"] == ["trunk", "again"]
    counts = split["rows"]["branch"]
    assert counts["all"] - counts["unseen"] == 40
    compared = answer(run, "compare", tmp_path / "shared.csv", "--laws", "annealing", "--test-runs", "again")
    assert compared["splits"][0]["laws"]["annealing"]["train"]["n"] == 40 + (counts["all"] - 40)


def test_the_public_protocol(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On made-up curves of one size, without the laws that are slow to fit."""
    import hashlib

    import yaml

    facts = yaml.safe_load((Path(__file__).parents[1] / public.PUBLISHED).read_text())
    folder = tmp_path / public.FOLDER / "csv_25"
    folder.mkdir(parents=True)
    digests = {}
    short = {"fitted_runs": ["wsdcon_9", "wsdcon_18"], "test_runs": ["wsdcon_3"]}
    for name in (*short["fitted_runs"], *short["test_runs"]):
        lr = public.lr(name)
        steps = np.arange(2176, len(lr), 704)
        loss = 3 + 0.5 * np.cumsum(lr)[steps] ** -0.5
        text = pd.DataFrame({"step": steps, "lr": lr[steps], "loss": loss.round(4)}).to_csv(index=False)
        (folder / f"{name}.csv").write_text(text)
        digests[f"csv_25/{name}.csv"] = hashlib.sha256(text.encode()).hexdigest()
    facts |= {"sizes": {"25M": facts["sizes"]["25M"]}, "files": digests, **short}
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump(facts))
    for name in ("multi_power", "fsl"):
        monkeypatch.delitem(public_curves.WARMUPS, name)
    out_file = tmp_path / "c.json"
    code, out, err = run("compare", "--public", tmp_path, "--published", tmp_path / "facts.yaml", "--out", out_file)
    assert (code, err) == (0, "")
    assert "25M:" in out
    (printed,) = (line.split() for line in out.splitlines() if "as published" in line)
    assert printed[-5:] == ["0.99880", "0.00376", "0.00465", "0.110%", "0.409%"]
    errors = read_json(out_file)["sizes"]["25M"]["comparison"]["laws"]["annealing (peak)"]["mean"]["unseen"]
    assert errors["mae"] < 0.02


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(public.VARIABLE), reason=f"{public.VARIABLE} is not set")
def test_the_public_protocol_on_the_real_curves(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    figure = tmp_path / "public.png"
    found = answer(run, "compare", "--public", os.environ[public.VARIABLE], "--plot", figure)
    assert list(found["sizes"]) == ["25M", "100M", "400M"]
    for size in found["sizes"].values():
        means = size["comparison"]["laws"][public_curves.AUTHORS]["mean"]
        assert means["all"]["mae"] == pytest.approx(size["published"]["metrics"]["mae"], abs=2e-5)
        assert means["unseen"]["mae"] > means["all"]["mae"]
    assert is_drawn(figure)


# mistakes


def change(text: str, line: int, column: int, value: str) -> str:
    lines = text.splitlines()
    cells = lines[line].split(",")
    cells[column] = value
    return "\n".join([*lines[:line], ",".join(cells), *lines[line + 1 :]]) + "\n"


BASE = "step,lr,phase,loss\n" + "".join(f"{i},{1e-3 * (1 - i / 99):g},PT,{4 - i / 50:g}\n" for i in range(1, 61))
BAD_LOGS: dict[str, tuple[str, str]] = {
    "loss of zero": (change(BASE, 5, 3, "0"), "must be finite and positive"),
    "loss of NaN": (change(BASE, 5, 3, "nan"), "must be finite and positive"),
    "unsorted": (change(BASE, 5, 0, "2"), "sort the rows"),
    "twice": (change(BASE, 5, 0, "4"), "a second loss of eval at step 4"),
    "no lr": (BASE.replace(",lr,", ",eta,"), "no column holds the learning rate"),
    "ragged": (BASE + "61,0.1\n", "has 2 cells, the header 4"),
    "empty": ("", "is empty"),
    "too few": ("\n".join(BASE.splitlines()[:4]), "law 'annealing' has 4 parameters for 3 rows: add curves"),
}


def refused(run: Run, folder: Path, words: str, *arguments: object) -> None:
    """One line, status 2, and nothing written."""
    before = sorted(folder.rglob("*"))
    code, out, err = run(*arguments)
    assert code == 2, out
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1, err
    assert words in err, err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("case", BAD_LOGS)
def test_bad_logs_are_refused(case: str, run: Run, tmp_path: Path) -> None:
    text, words = BAD_LOGS[case]
    path = tmp_path / "log.csv"
    path.write_text(text)
    out = ("--out", tmp_path / "out.json", "--plot", tmp_path / "out.png")
    refused(run, tmp_path, words, "fit", path, *out)
    if case not in ("too few",):
        refused(run, tmp_path, words, "compare", path, *out)


def test_damaged_files_are_refused(run: Run, data: Path, fitted: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out.json")
    whole = (data / "all.parquet").read_bytes()
    for name, content in (
        ("half.parquet", whole[: len(whole) // 2]),
        ("end.parquet", whole[:-40] + b"\0" * 36 + whole[-4:]),
        ("other.parquet", b"PAR1"),
        ("text.csv", b"\xff\xfe\x00step"),
        ("trainer_state.json", b'{"log_history": [{'),
        ("deep.json", b"[" * 100_000),
        ("list.json", b'{"log_history": 3}'),
    ):
        (tmp_path / name).write_bytes(content)
        refused(run, tmp_path, name, "fit", tmp_path / name, *out)
    found = read_json(fitted)
    broken: tuple[Any, ...] = (
        [],
        {},
        {**found, "law": "none"},
        {**found, "parameters": {**found["parameters"], "B": None}},
        {**found, "parameters": []},
        {**found, "ranges": {"s1pt": "x"}},
        {**found, "settings": {}},
        {**found, "settings": {**found["settings"], "warmup": "x"}},
        {**found, "bounds": {"B": [1, 2]}},
    )
    for number, content in enumerate(broken):
        path = tmp_path / f"fit{number}.json"
        write_json(path, content)
        refused(run, tmp_path, path.name, "predict", path, "--schedule", SCHEDULE, *out)
    (tmp_path / "cut.json").write_text(json.dumps(found)[:200])
    refused(run, tmp_path, "cut.json is not valid JSON", "predict", tmp_path / "cut.json", "--schedule", SCHEDULE)
    refused(run, tmp_path, "does not exist", "predict", tmp_path / "none.json", "--schedule", SCHEDULE)
    refused(run, tmp_path, "cannot be read", "predict", tmp_path, "--schedule", SCHEDULE)


def test_logs_of_different_units_are_refused(run: Run, data: Path, tmp_path: Path) -> None:
    table = pd.read_csv(data / "thin.csv")
    table.assign(loss=1.001 * table["loss"] / np.log(2)).to_csv(tmp_path / "bits.csv", index=False)
    both = ("fit", data / "thin.csv", tmp_path / "bits.csv", "--pretraining-steps", "all")
    refused(run, tmp_path, "look like nats and bits", *both)
    found = answer(run, *both, "--unit", f"{tmp_path / 'bits.csv'}=bits")
    assert found["metrics"]["all"]["n"] == 2 * len(table)


CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "law": ("there is no law 'cpd': choose one of", ("fit", "all.parquet", "--law", "cpd")),
    "laws": ("there is no law 'cpd'", ("laws", "cpd")),
    "sets": ("losses of 2 validation sets: choose --validation code or law", ("fit", "two.parquet")),
    "set": ("no losses of validation set 'x', only", ("fit", "two.parquet", "--validation", "x")),
    "run": ("has no run 'x', only", ("fit", "all.parquet", "--run", "x")),
    "only": ("--only: there is no run 'x', only again", ("fit", "all.parquet", "--only", "x,steady")),
    "exclude": ("--exclude: there is no run 'x'", ("fit", "all.parquet", "--exclude", "x")),
    "exclude all": ("--exclude leaves no run", ("fit", "all.parquet", "--exclude", ",".join(RUNS))),
    "fix": ("law 'cpt' has no free parameter 'x'", ("fit", "all.parquet", "--fix", "x=1")),
    "fix text": ("--fix B: write NAME=VALUE", ("fit", "all.parquet", "--fix", "B")),
    "shift": ("has no shift whose sign", ("fit", "all.parquet", "--law", "annealing", "--shift", "positive")),
    "difference": ("is of a difference of losses", ("fit", "all.parquet", "--law", "shift_power")),
    "replay": ("give --replay RUN=SHARE", ("fit", "all.parquet", "--law", "cpt_replay_general")),
    "params": ("give --params RUN=N", ("fit", "all.parquet", "--law", "cpt_size")),
    "tokens": ("--columns tokens=COLUMN", ("fit", "all.parquet", "--law", "chinchilla", "--params", "1e6")),
    "share": ("which no option gives", ("fit", "all.parquet", "--law", "mixing")),
    "sizes": ("is of one model, but the runs are of 2", ("fit", "all.parquet", "--params", "steady=1e6", "2e6")),
    "half": (
        "--replay says nothing about run 'again'",
        ("fit", "all.parquet", "--law", "cpt_replay_general", "--replay", "steady=0.1"),
    ),
    "ratio": ("a number from 0 to 1", ("fit", "all.parquet", "--law", "cpt_replay_general", "--replay", "1.5")),
    "ratio run": (
        "there is no run 'x' that",
        ("fit", "all.parquet", "--law", "cpt_replay_general", "--replay", "x=0.5"),
    ),
    "lambda": ("lambda is 1.0", ("fit", "all.parquet", "--lambda", "1")),
    "level": ("--level is 2.0", ("fit", "all.parquet", "--level", "2")),
    "starts": ("--starts is 0", ("fit", "all.parquet", "--starts", "0")),
    "first": ("no row is left", ("fit", "thin.csv", "--pretraining-steps", "all", "--first-step", "5000")),
    "profile": ("no free parameter 'x'", ("fit", "all.parquet", "--law", "annealing", "--profile", "x")),
    "sweep": ("--sweep-lambda is 'a'", ("fit", "all.parquet", "--law", "annealing", "--sweep-lambda", "a")),
    "no sweep": ("lambda plays no part", ("fit", "all.parquet", "--law", "annealing_s1_only", "--sweep-lambda", "0.9")),
    "alone": ("leaving one curve out needs at least two", ("fit", "thin.csv", "--law", "annealing", "--intervals")),
    "columns": ("write FIELD=COLUMN", ("fit", "thin.csv", "--columns", "lr")),
    "column": ("there is no 'eta'", ("fit", "thin.csv", "--columns", "lr=eta")),
    "unit": ("choose nats or bits", ("fit", "thin.csv", "--unit", "x")),
    "steps": ("give a number of steps, or all", ("fit", "thin.csv", "--pretraining-steps", "x")),
    "which log": ("'x' is none of the logs", ("fit", "thin.csv", "--run", "x=y")),
    "given twice": ("is given 2 times", ("fit", "thin.csv", "--run", "x", "--run", "y")),
    "schedule": ("the logged lr of step 15 is 0.01", ("fit", "thin.csv", "--schedule", "constant 900 at 2e-2")),
    "schedule part": ("no shape 'const'", ("fit", "thin.csv", "--schedule", "const 900")),
    "missing": ("does not exist", ("fit", "none.csv")),
    "folder": ("is a folder", ("fit", "states")),
    "same run": ("both hold a run", ("fit", "all.csv", "all.parquet")),
    "nothing": ("nothing says under which LR", ("predict", "fit.json")),
    "bad schedule": ("no shape 'x'", ("predict", "fit.json", "--schedule", "x 10")),
    "two schedules": ("given 2 times", ("predict", "fit.json", "--schedule", "x", "--schedule", "y")),
    "zero": ("has no finite loss", ("predict", "fit.json", "--schedule", "constant 100 at 0")),
    "every": ("--every is 0", ("predict", "fit.json", "--schedule", SCHEDULE, "--every", "0")),
    "no fit": ("this is not a fit", ("predict", "states/steady/trainer_state.json", "--schedule", SCHEDULE)),
    "empty laws": ("--laws is empty", ("compare", "all.parquet", "--laws", ",")),
    "test run": ("--test-runs: there is no run 'x'", ("compare", "all.parquet", "--test-runs", "x")),
    "both": (
        "in --fit-runs and in --test-runs",
        ("compare", "all.parquet", "--fit-runs", "steady", "--test-runs", "steady"),
    ),
    "all tested": ("no run is left to fit", ("compare", "all.parquet", "--test-runs", ",".join(RUNS))),
    "one run": ("another one to test on", ("compare", "thin.csv")),
    "signs": ("drop --shift", ("compare", "all.parquet", "--laws", "annealing", "--shift", "negative")),
    "nothing compared": ("nothing is to be compared", ("compare",)),
    "public and logs": ("--public has its own curves", ("compare", "all.parquet", "--public", ".")),
    "public": ("is no folder", ("compare", "--public", "nowhere")),
    "plot": ("must end in .pdf, .png, .svg", ("fit", "all.parquet", "--plot", "x.gif")),
    "plot folder": ("there is no folder", ("compare", "all.parquet", "--plot", "nowhere/x.png")),
    "out folder": ("there is no folder", ("fit", "all.parquet", "--out", "nowhere/x.json")),
    "out is a folder": (
        "is a folder: give the name",
        ("predict", "fit.json", "--schedule", SCHEDULE, "--out", "states"),
    ),
    "over the log": ("is one of the inputs", ("fit", "all.parquet", "--out", "all.parquet")),
    "over the fit": ("is one of the inputs", ("predict", "fit.json", "--schedule", SCHEDULE, "--out", "fit.json")),
    "unwritable": ("device or pipe", ("fit", "all.parquet", "--law", "annealing", "--out", "/proc/x.json")),
}


@pytest.mark.parametrize("case", CASES)
def test_mistakes_are_one_line(case: str, run: Run, data: Path, fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words, arguments = CASES[case]
    if case == "unwritable" and not os.path.isdir("/proc"):
        pytest.skip("no folder that cannot be written to")
    monkeypatch.chdir(data)
    refused(run, data, words, *arguments)


def test_help_is_quick() -> None:
    """Help imports none of the slow packages."""
    code = """
import sys
from cpt_dynamics.cli import main
for command in ("laws", "fit", "predict", "compare", "recommend", "schedule"):
    try:
        main([command, "--help"])
    except SystemExit as end:
        assert end.code == 0
slow = ("numpy", "pandas", "pydantic", "torch", "scipy", "matplotlib", "snakemake", "seaborn")
print("SLOW", [name for name in slow if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "SLOW []"


def test_choices_are_those_of_the_types() -> None:
    from cpt_dynamics import areas, planning
    from cpt_dynamics.cli import arguments
    from cpt_dynamics.curves import table
    from cpt_dynamics.fitting.fit import Method
    from cpt_dynamics.logs import Format
    from cpt_dynamics.planning.optimum import TOLERANCE, Measure
    from cpt_dynamics.planning.schedule import Shape

    types = {"FORMATS": Format, "MEASURES": Measure, "METHODS": Method, "SHAPES": Shape}
    types |= {"SHIFTS": laws.Shift, "WARMUPS": areas.Warmup}
    assert {name: getattr(arguments, name) for name in types} == {name: get_args(t) for name, t in types.items()}
    assert (arguments.KNOBS, arguments.PHASES) == (planning.KNOBS, table.PHASES)
    parser = argparse.ArgumentParser()
    arguments.add_recommend(parser)
    assert parser.get_default("tolerance") == TOLERANCE
