"""Public curves: fetching and reading them, comparing laws on them, the figure.

Tests that need the real curves run where CPT_DYNAMICS_PUBLIC_CURVES names a folder that holds multipowerlaw/.
"""

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from worlds.curves import curve, schedule

from cpt_dynamics import areas, curves, laws
from cpt_dynamics.curves import public
from cpt_dynamics.curves.public import fetching
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.saving import save
from cpt_dynamics.figures.public_curves import analyse as public_curves
from cpt_dynamics.figures.public_curves import draw as figure_of
from cpt_dynamics.figures.public_curves import laws as public_laws
from cpt_dynamics.figures.public_curves.result import Result
from cpt_dynamics.files import read_json, write_json
from cpt_dynamics.fitting import comparison, fit
from cpt_dynamics.fitting.comparison import Given, compare
from cpt_dynamics.fitting.sweep import best, sweep_lambda

REPOSITORY = Path(__file__).parents[1]
YAML = REPOSITORY / public.PUBLISHED
REAL = os.environ.get(public.VARIABLE, "")
needs_curves = pytest.mark.skipif(
    not REAL, reason=f"{public.VARIABLE} is not set to a folder that holds the public curves"
)
SMALL = {"csv_25/one.csv": b"step,lr,loss\n1,2,3\n", "csv_25/two.csv": b"step,lr,loss\n4,5,6\n"}
Table = pd.DataFrame


# Fetching


def facts(folder: Path, files: dict[str, bytes], address: str = "", **changes: Any) -> Path:
    """A file of published facts about given files of one size."""
    raw = yaml.safe_load(YAML.read_text())
    raw |= {"sizes": {"25M": raw["sizes"]["25M"]}, "address": address or raw["address"]}
    raw |= {"files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}}
    path = folder / "facts.yaml"
    path.write_text(yaml.safe_dump(raw | changes))
    return path


def place(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a server on this machine with the small files under revision 8da9f19."""
    monkeypatch.delenv(public.VARIABLE, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    place(tmp_path / "served/8da9f19", SMALL)
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/{{revision}}/{{file}}"
        running.shutdown()
        thread.join()


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_files_are_downloaded_with_a_record_of_their_source(server: str, tmp_path: Path) -> None:
    written = public.fetch(tmp_path / "got", path=facts(tmp_path, SMALL, server))
    record = read_json(written)
    assert written == tmp_path / "got/source.json"
    assert {name: (tmp_path / "got" / name).read_bytes() for name in SMALL} == SMALL
    assert (record["licence"], record["revision"]) == ("MIT", "8da9f19")
    assert record["copyright"].startswith("Copyright (c)")
    assert [entry["path"] for entry in record["files"]] == list(SMALL)
    assert sorted(p.name for p in (tmp_path / "got").rglob("*")) == ["csv_25", "one.csv", "source.json", "two.csv"]


def test_a_changed_file_is_refused_and_nothing_is_written(server: str, tmp_path: Path) -> None:
    changed = {**SMALL, "csv_25/two.csv": b"other"}
    with pytest.raises(UserError, match=r"csv_25/two.csv has sha256") as error:
        public.fetch(tmp_path / "got", path=facts(tmp_path, changed, server))
    one_line(error)
    assert not (tmp_path / "got").exists()


def test_a_missing_file_is_named_and_nothing_is_written(server: str, tmp_path: Path) -> None:
    more = {**SMALL, "csv_25/three.csv": b"x"}
    with pytest.raises(UserError, match=r"three.csv cannot be downloaded") as error:
        public.fetch(tmp_path / "got", path=facts(tmp_path, more, server))
    assert "404" in one_line(error)
    assert public.VARIABLE in one_line(error)
    assert not (tmp_path / "got").exists()


def test_without_a_network_one_line_tells_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(public.VARIABLE, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:  # bound, but nothing listens
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/{{revision}}/{{file}}"
        with pytest.raises(UserError, match="check the network, or set CPT_DYNAMICS_PUBLIC_CURVES") as error:
            public.fetch(tmp_path / "got", path=facts(tmp_path, SMALL, address))
    one_line(error)
    assert not (tmp_path / "got").exists()


def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(public.VARIABLE, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetching, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/{{revision}}/{{file}}"
        with pytest.raises(UserError, match="timed out") as error:
            public.fetch(tmp_path / "got", path=facts(tmp_path, SMALL, address))
    one_line(error)


def test_an_endless_file_is_refused(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "LARGEST", 10)
    with pytest.raises(UserError, match="larger than 10 bytes"):
        public.fetch(tmp_path / "got", path=facts(tmp_path, SMALL, server))


@pytest.mark.parametrize("given", [True, False])
def test_a_folder_stands_in_for_the_network(given: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path / "here/multipowerlaw", SMALL)
    monkeypatch.setenv(public.VARIABLE, str(tmp_path / ("elsewhere" if given else "here")))
    path = facts(tmp_path, SMALL, "http://127.0.0.1:1/{revision}{file}")
    public.fetch(tmp_path / "got", tmp_path / "here" if given else None, path)
    assert {name: (tmp_path / "got" / name).read_bytes() for name in SMALL} == SMALL
    assert str(tmp_path) not in (tmp_path / "got/source.json").read_text()


def test_a_folder_without_the_curves_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must name a folder that holds multipowerlaw/") as error:
        public.fetch(tmp_path / "got", tmp_path, facts(tmp_path, SMALL))
    one_line(error)
    assert not (tmp_path / "got").exists()


# Reading


def test_schedules_are_those_of_the_authors() -> None:
    constant, cosine = public.lr("constant_24000"), public.lr("cosine_72000")
    assert (len(constant), len(cosine), len(public.lr("wsdcon_3"))) == (24000, 72000, 16000)
    for run in ("constant_24000", "cosine_72000", "wsdcon_3", "wsd_20000_24000", "wsdld_20000_24000"):
        rates = public.lr(run)
        assert rates[0] == 0
        assert rates[2159] == pytest.approx(3e-4)
        assert np.diff(rates[:2160]) == pytest.approx(3e-4 / 2159)
        assert areas.warmup_length(rates) in (2160, 2161)
    assert np.ptp(constant[2160:]) == 0
    assert cosine[2160 + (72000 - 2160) // 2] == pytest.approx(1.65e-4)
    two = public.lr("wsdcon_3")
    assert (two[7999], two[8000], two[-1]) == pytest.approx((3e-4, 3e-5, 3e-5))
    exponential, linear = public.lr("wsd_20000_24000"), public.lr("wsdld_20000_24000")
    assert (exponential[20000], linear[20000]) == pytest.approx((3e-4, 3e-4))
    assert (exponential[22000], linear[22000]) == pytest.approx((np.sqrt(3e-4 * 3e-5), 1.65e-4))


@pytest.mark.parametrize("run", ["cosine", "cosine_x", "wsd_1_2", "other_24000", "constant_100", "wsdcon_3_4"])
def test_an_unknown_schedule_is_an_error(run: str) -> None:
    with pytest.raises(UserError, match="is not known"):
        public.lr(run)


def written(folder: Path, lr: float = 3e-4) -> tuple[Path, Path]:
    """A folder with one run of one size, and the facts about it."""
    text = f"step,lr,loss\n2176,{lr},4.1\n7936,0.0003,3.6\n8000,9e-05,3.5\n16000,9e-05,3.4\n"
    files = {"csv_25/wsdcon_9.csv": text.encode()}
    return place(folder, files), facts(folder, files, fitted_runs=["wsdcon_9"], test_runs=[])


def test_rows_become_a_curve_table(tmp_path: Path) -> None:
    table, schedules = public.read_multi_power(*written(tmp_path))["25M"]
    curves.check_pair(table, schedules)
    assert table["step"].tolist() == [2177, 7937, 8001]  # the authors count from 0; step 16000 is past the end
    assert table["lr"].tolist() == pytest.approx([3e-4, 3e-4, 9e-5])
    assert set(table["model"]) == {"25M"}
    together, plans = public.combined({"25M": (table, schedules)})
    assert set(together["run"]) == set(plans["run"]) == {"25M/wsdcon_9"}
    assert public.of_size(together, "25M").equals(table)
    with pytest.raises(UserError, match="no run of size 400M"):
        public.of_size(together, "400M")


def test_another_lr_than_the_formula_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"wsdcon_9.csv: the lr of step 2176 is not that of schedule wsdcon_9"):
        public.read_multi_power(*written(tmp_path, lr=2.9e-4))


def test_a_changed_or_missing_file_is_named(tmp_path: Path) -> None:
    folder, path = written(tmp_path)
    (folder / "csv_25/wsdcon_9.csv").write_text("step,lr,loss\n")
    with pytest.raises(UserError, match=r"csv_25/wsdcon_9.csv has sha256 .* is recorded: fetch"):
        public.read_multi_power(folder, path)
    (folder / "csv_25/wsdcon_9.csv").unlink()
    with pytest.raises(UserError, match=r"csv_25/wsdcon_9.csv does not exist: fetch"):
        public.read_multi_power(folder, path)


def test_the_published_facts_are_complete(tmp_path: Path) -> None:
    known = public.published(YAML)
    runs = [*known.fitted_runs, *known.test_runs]
    assert list(known.sizes) == ["25M", "100M", "400M"]
    assert set(known.files) == {f"{size.folder}/{run}.csv" for size in known.sizes.values() for run in runs}
    assert len(set(known.files.values())) == 27
    assert set(figure_of.RUNS) == set(known.test_runs)
    for size in known.sizes.values():
        assert set(size.parameters) == {p.name for p in laws.get("multi_power").parameters}
        assert set(size.metrics) == set(comparison.AVERAGED)
    (tmp_path / "bad.yaml").write_text("source: x\n")
    with pytest.raises(UserError, match=r"bad.yaml: repository: Field required"):
        public.published(tmp_path / "bad.yaml")


# Comparing laws

TRUE = {"L0": 2.5, "A": 0.6, "alpha": 0.5, "C": 0.4}


def world(lambda_: float = 0.99) -> tuple[Table, Table]:
    """Curves of an exact annealing law; `branch` leaves `flat` after 600 of its 900 steps."""
    u = np.arange(1, 901) / 900
    schedules = pd.concat(
        [
            schedule("flat", np.full(900, 1e-2)),
            schedule("cosine", 1e-3 + 4.5e-3 * (1 + np.cos(np.pi * u))),
            schedule("branch", np.r_[np.full(600, 1e-2), np.linspace(1e-2, 1e-3, 300)]),
            schedule("stages", np.r_[np.full(300, 1e-2), np.full(300, 4e-3)]),
        ],
        ignore_index=True,
    )
    tables = []
    for _, of_run in schedules.groupby("run", sort=False):
        steps = np.arange(20, len(of_run) + 1, 20)
        tables.append(curve(of_run, steps, "v", np.ones(len(steps)), 0.0, seed=0, model="m", params=1))
    table = pd.concat(tables, ignore_index=True)
    features = curves.features(table, schedules, lambda_)
    return table.assign(loss=laws.get("annealing").predict(TRUE, features)), schedules


def test_laws_are_fitted_to_some_runs_and_tested_on_others() -> None:
    table, schedules = world()
    features = curves.features(table, schedules, 0.99)
    entries: dict[str, Any] = {
        "right": laws.get("annealing"),
        "s1": laws.get("annealing_s1_only"),
        "known": Given(laws.get("annealing"), TRUE, "this test"),
    }
    found = compare(entries, features, ["flat", "cosine"], ["branch", "stages"])
    right, s1, known = (found["laws"][name] for name in entries)
    # rows up to the branch are rows of `flat`; the first 300 steps of `stages` are, too
    assert found["rows"] == {"branch": {"all": 45, "unseen": 15}, "stages": {"all": 30, "unseen": 15}}
    assert right["parameters"] == pytest.approx(TRUE, rel=1e-5)
    assert right["converged"]
    assert right["objective"] < 1e-12
    assert right["mean"]["unseen"]["mean_relative_error"] < 1e-7
    assert known["objective"] < 1e-20
    assert not known["fitted"]
    assert known["seconds"] == 0
    assert s1["mean"]["unseen"]["mean_relative_error"] > 2e-3
    assert s1["mean"]["all"]["mae"] < s1["mean"]["unseen"]["mae"]
    assert s1["runs"]["branch"]["unseen"]["n"] == 15
    by_run = [s1["runs"][run]["all"]["rmse"] for run in ("branch", "stages")]
    assert s1["mean"]["all"]["rmse"] == pytest.approx(np.mean(by_run))


def test_the_result_is_json(tmp_path: Path) -> None:
    table, schedules = world()
    features = curves.features(table, schedules, 0.99)
    found = compare({"s1": laws.get("annealing_s1_only")}, features, ["flat"], ["cosine"])
    write_json(tmp_path / "found.json", found)
    assert read_json(tmp_path / "found.json") == found


def test_each_law_has_its_own_features() -> None:
    table, schedules = world()
    by_name = {name: curves.features(table, schedules, float(name)) for name in ("0.9", "0.99")}
    entries = dict.fromkeys(by_name, laws.get("annealing"))
    mapped = compare(entries, by_name, ["flat", "cosine"], ["stages"])
    asked = compare(entries, lambda name: by_name[name], ["flat", "cosine"], ["stages"])
    errors = {name: mapped["laws"][name]["mean"]["all"]["mae"] for name in by_name}
    assert errors == {name: asked["laws"][name]["mean"]["all"]["mae"] for name in by_name}
    assert errors["0.99"] < 1e-6 < 1e-4 < errors["0.9"]
    assert mapped["laws"]["0.9"]["fit"]["settings"]["lambda"] == 0.9


def test_only_rows_of_a_phase_can_be_tested() -> None:
    table, schedules = world()
    late = schedules["run"].eq("branch") & (schedules["step"] > 600)
    schedules["phase"] = np.where(late, "continual", "pretraining")
    moved = table["run"].eq("branch") & (table["step"] > 600)
    table["phase"] = np.where(moved, "continual", "pretraining")
    table["phase_step"] = table["step"] - 600 * moved
    features = curves.features(table, schedules, 0.99)
    found = compare({"right": laws.get("annealing")}, features, ["flat", "cosine"], ["branch"], phase="continual")
    assert found["rows"] == {"branch": {"all": 15, "unseen": 15}}
    assert found["laws"]["right"]["runs"]["branch"]["all"]["mae"] < 1e-6


def test_mistakes_in_a_comparison_are_named() -> None:
    table, schedules = world()
    features = curves.features(table, schedules)
    law = {"a": laws.get("annealing"), "b": laws.get("annealing")}
    with pytest.raises(UserError, match=r"there is no run 'typo' .* choose among branch, cosine, flat, stages"):
        compare(law, features, ["flat"], ["typo"])
    with pytest.raises(UserError, match="no features are given for 'b'"):
        compare(law, {"a": features}, ["flat", "cosine"], ["stages"])
    with pytest.raises(UserError, match="'b' have other rows"):
        compare(law, {"a": features, "b": features.iloc[:-1]}, ["flat", "cosine"], ["stages"])
    with pytest.raises(UserError, match="several validation sets"):
        compare(law, pd.concat([features, features.assign(validation="w")]), ["flat"], ["stages"])


def test_a_sweep_finds_lambda_by_the_training_objective() -> None:
    table, schedules = world(0.98)

    def features(lambda_: float) -> Table:
        return curves.features(table, schedules, lambda_)

    sweep = sweep_lambda("annealing", features, table["loss"], [0.99, 0.9, 0.98], n_starts=3)
    assert list(sweep) == [0.9, 0.98, 0.99]
    assert best(sweep) == 0.98
    assert sweep[0.98].objective < 1e-12 < sweep[0.99].objective
    assert sweep[0.9].settings["lambda"] == 0.9
    with pytest.raises(UserError, match="lambdas is empty"):
        sweep_lambda("annealing", features, table["loss"], [])


def test_a_fit_can_start_from_given_parameters_alone() -> None:
    table, schedules = world()
    features = curves.features(table, schedules, 0.99)
    near = {"L0": 2.4, "A": 0.7, "alpha": 0.6, "C": 0.3}
    found = fit("annealing", features, table["loss"], n_screen=0, starts=[near])
    assert found.n_starts == 1
    assert found.parameters == pytest.approx(TRUE, rel=1e-5)
    assert fit("annealing", features, table["loss"], n_starts=2, starts=[near]).n_starts == 3
    with pytest.raises(UserError, match="a fit needs a start"):
        fit("annealing", features, table["loss"], n_screen=0)
    with pytest.raises(UserError, match="a start for law 'annealing' lacks C"):
        fit("annealing", features, table["loss"], starts=[{"L0": 2.4, "A": 0.7, "alpha": 0.6}])


def test_changes_are_merged_for_the_search_and_counted_for_the_fit() -> None:
    table, schedules = world()
    features = curves.features(table, schedules)
    coarse = comparison.merged(features, 8)
    assert {past.merge for past in coarse["history"]} == {8}
    assert len(set(coarse["history"])) == 4
    assert list(coarse["settings"]) == list(features["settings"])
    point = {"L0": 2.5, "A": 0.5, "alpha": 0.5, "B": 20.0, "C": 2.0, "beta": 0.6, "gamma": 0.6}
    law = laws.get("multi_power")
    features["loss"] = law.predict(point, features)
    found, first = comparison.search(law, features)
    assert found.objective < 1e-12 < first.objective
    assert found.parameters == pytest.approx(point, rel=1e-3)
    assert first.n_starts > 1


# The whole analysis, on made-up losses under the real schedules


@dataclass(frozen=True)
class Made:
    curves: Table
    schedules: Table
    result: Result


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Curves of one size that follow the annealing law with lambda 0.999 and the true LR in S1, with few rows."""
    folder = tmp_path_factory.mktemp("made")
    point = {"L0": 3.1, "A": 0.5, "alpha": 0.5, "C": 0.4}
    known = public.published(YAML)
    files, plans = {}, []
    for run in (*known.fitted_runs, *known.test_runs):
        rates = public.lr(run)
        steps = np.arange(2176, len(rates), 1408)
        plans.append(schedule(run, rates))
        table = schedule(run, rates)[["run", "step", "phase", "lr"]].iloc[steps]
        features = curves.features(table, plans[-1], 0.999, "true-in-S1")
        loss = laws.get("annealing").predict(point, features)
        rows = pd.DataFrame({"step": steps, "lr": rates[steps], "loss": loss.round(4)})
        files[f"csv_25/{run}.csv"] = rows.to_csv(index=False).encode()
    path = facts(folder, files)
    sizes = public.read_multi_power(place(folder, files), path)
    table, schedules = public.combined(sizes)
    return Made(table, schedules, public_curves.compared(table, schedules, path))


def test_warmup_and_lambda_are_chosen_by_the_training_objective(made: Made) -> None:
    size = made.result.sizes["25M"]
    found = size.comparison.laws
    assert size.warmup == "true-in-S1"
    assert size.annealing == "annealing (true-in-S1)"
    assert size.lambda_best == 0.999
    assert found["annealing (true-in-S1)"].parameters["C"] == pytest.approx(0.4, rel=0.01)
    objectives = {name: law.objective for name, law in found.items() if name.startswith("annealing (")}
    assert objectives["annealing (true-in-S1)"] == min(objectives.values())
    assert found["annealing (true-in-S1)"].mean.all.mean_relative_error == pytest.approx(0, abs=1e-4)
    assert (found["annealing_s1_only"].mean.all.mean_relative_error or 0.0) > 2e-3
    assert all(law.converged for law in found.values() if law.fitted)
    assert made.result.figure == "public_curves"


def test_checks_are_distances_from_print_and_gains_on_unseen_rows(made: Made) -> None:
    size = made.result.sizes["25M"]
    found = size.comparison.laws
    authors = found[public_laws.AUTHORS].mean.all.mean_relative_error
    assert size.printed_error == size.published.metrics["mean_relative_error"]
    assert size.printed_off == abs((authors or 0.0) - size.printed_error) > 1e-5  # these losses are not the authors'
    ours, without = (
        found[name].mean.unseen.mean_relative_error or 0.0 for name in (size.annealing, "annealing_s1_only")
    )
    assert size.over_s1_only == ours / without


def test_the_figure_is_on_the_page_and_in_its_table(made: Made, tmp_path: Path) -> None:
    check_figure(made.curves, made.schedules, made.result, tmp_path)


def check_figure(table: Table, schedules: Table, result: Result, folder: Path) -> None:
    figure, drawn = figure_of.drawn(table, schedules, result)
    check_page(figure)
    figure.set_label("public_curves")
    first = save(figure, drawn, folder / "first")
    again, same = figure_of.drawn(table, schedules, result)
    second = save(again, same, folder / "second", "public_curves")
    assert all(one.read_bytes() == two.read_bytes() for one, two in zip(first, second, strict=True))
    assert drawn["y"].notna().all()
    lines = [np.asarray(line.get_ydata(), float) for ax in figure.axes[:-1] for line in ax.lines]
    upper = drawn[~drawn["panel"].str.contains("mean")]
    assert np.isin(upper["y"].round(9), np.concatenate(lines).round(9)).all()
    for size, found in result.sizes.items():
        means = drawn[drawn["panel"] == f"{size} mean error (%)"].set_index(["series", "x"])["y"]
        error = found.comparison.laws["multi_power"].mean.unseen.mean_relative_error
        assert means["unseen rows", "multi_power"] == 100 * (error or 0.0)


def check_page(figure: Figure) -> None:
    """Everything is on the page, no text is smaller than the smallest size, no text covers another one."""
    with style.context():
        canvas = cast(Any, FigureCanvasAgg(figure))
        canvas.draw()
        renderer = canvas.get_renderer()
        box = figure.get_tightbbox(renderer)
        width, height = figure.get_size_inches()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= height
        said = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]
        assert min(float(text.get_fontsize()) for text in said) >= style.SMALL
        places = {text.get_text(): text.get_window_extent(renderer) for ax in figure.axes for text in ax.texts}
        places |= {ax.get_ylabel(): ax.yaxis.label.get_window_extent(renderer) for ax in figure.axes if ax.get_ylabel()}
        boxes = list(places.items())
        for i, (one, first) in enumerate(boxes):
            for two, second in boxes[i + 1 :]:
                assert not first.overlaps(second), (one, two)


# The real curves

CONVENTIONS = {"25M": "true-in-S1", "100M": "true-in-S1", "400M": "true-in-both"}  # of the best training objective


@pytest.fixture(scope="module")
def real() -> tuple[Table, Table]:
    return public.combined(public.read_multi_power(Path(REAL) / public.FOLDER, YAML))


@needs_curves
def test_the_real_curves_are_fetched_and_read(tmp_path: Path) -> None:
    public.fetch(tmp_path / "got", Path(REAL), YAML)
    sizes = public.read_multi_power(tmp_path / "got", YAML)
    table, schedules = public.combined(sizes)
    curves.write(tmp_path / "curves.parquet", table)
    curves.write_schedules(tmp_path / "schedules.parquet", schedules)
    assert len(curves.read(tmp_path / "curves.parquet", schedules)) == len(table) == 6265


@needs_curves
@pytest.mark.parametrize("size", CONVENTIONS)
def test_published_metrics_and_errors_of_the_annealing_law(size: str, real: tuple[Table, Table]) -> None:
    table, schedules = (public.of_size(part, size) for part in real)
    known = public.published(YAML)
    chosen = f"annealing ({CONVENTIONS[size]})"
    entries = public_laws.laws(known.sizes[size].parameters, "authors")
    kept = {name: law for name, law in entries.items() if name.startswith("annealing (")}
    kept[public_laws.AUTHORS] = entries[public_laws.AUTHORS]
    found = compare(
        kept,
        lambda name: curves.features(table, schedules, 0.999, public_laws.WARMUPS[name]),
        known.fitted_runs,
        known.test_runs,
    )["laws"]
    authors = found.pop(public_laws.AUTHORS)["mean"]["all"]
    for name, printed in known.sizes[size].metrics.items():
        assert round(authors[name], 4 if name == "r2" else 5) == pytest.approx(printed, abs=1e-9), name
    assert min(found, key=lambda name: found[name]["objective"]) == chosen
    limit = {"25M": 0.0014, "100M": 0.0015, "400M": 0.0018}[size]
    assert round(found[chosen]["mean"]["all"]["mean_relative_error"], 4) <= limit
    unseen = {"25M": 0.0018, "100M": 0.0025, "400M": 0.0026}[size]
    assert round(found[chosen]["mean"]["unseen"]["mean_relative_error"], 4) <= unseen


@needs_curves
@pytest.mark.slow
def test_the_whole_comparison_on_the_real_curves(real: tuple[Table, Table], tmp_path: Path) -> None:
    result = public_curves.compared(*real, YAML)
    for size, most in {"25M": 1.38e-4, "100M": 2.13e-5, "400M": 7.88e-5}.items():
        entry = result.sizes[size]
        found = entry.comparison.laws
        assert entry.warmup == CONVENTIONS[size]
        assert entry.lambda_best == 0.999
        ours = found["multi_power"]
        assert float(f"{ours.objective:.2e}") <= most
        assert ours.converged
        assert ours.n_agree == ours.n_starts
        assert ours.objective < found[public_laws.AUTHORS].objective
        assert found["fsl"].converged
    check_figure(*real, result, tmp_path)
