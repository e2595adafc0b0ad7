"""Logs, stored fits, options and results that are odd, damaged or hostile: one line each that names what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from cpt_dynamics import files
from cpt_dynamics.cli import main
from cpt_dynamics.errors import LONGEST, UserError
from cpt_dynamics.figures.fig03.result import Result
from cpt_dynamics.figures.kit.result import read_result
from cpt_dynamics.fitting import fit
from cpt_dynamics.laws import get
from cpt_dynamics.logs import formats
from cpt_dynamics.planning import Scenario
from cpt_dynamics.schedules import Schedule

Refused = Callable[..., str]
SETTINGS = {"lambda": 0.95, "warmup": "peak", "carry_over": True, "lr_power": 0.1}
HEAD, ROWS = "step,lr,loss\n", "".join(f"{step},1e-3,{3 + 1 / step}\n" for step in range(1, 40))
ENTRIES = [{"step": step, "learning_rate": 1e-3, "eval_law_loss": 3 + 1 / step} for step in range(1, 40)]
PT = ["--pretraining", "warmup 10 to 8e-3; wsd 390 to 1e-3 decay 0.2"]
ANNEALING = ["--law", "annealing", "--pretraining-steps", "all", "--starts", "1"]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that must be refused; returns its one line."""

    def call(*arguments: object) -> str:
        assert main([str(one) for one in arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("error: ")
        assert printed.err.count("\n") == 1
        assert len(printed.err) <= LONGEST + len("error: \n")
        return printed.err

    return call


# --- logs -----------------------------------------------------------------------------------------------------


def csv(last: str, header: str = HEAD) -> bytes:
    return f"{header}{ROWS}{last}\n".encode()


def state(**last: Any) -> bytes:
    """A trainer_state.json whose last entry is odd."""
    entry = {"step": 40, "learning_rate": 1e-3, "eval_law_loss": 3.0, **last}
    return json.dumps({"best_global_step": None, "log_history": [*ENTRIES, entry]}).encode()


TEXTS: dict[str, tuple[str, bytes, str]] = {
    "a step of a billion": ("a.csv", csv("1e9,1e-3,3"), "line 41: the step is '1e9': it must be at most 10,000,000"),
    "a step of 1e12": ("a.csv", csv("1e12,1e-3,3"), "line 41: the step is '1e12': it must be at most"),
    "a step of 1e300": ("a.csv", csv("1e300,1e-3,3"), "line 41: the step is '1e300': it must be at most"),
    "400 digits": ("a.csv", csv("9" * 400 + ",1e-3,3"), "line 41: the step is '9999"),
    "400 digits in JSON": ("a.json", state(step=10**400), "log_history[39]: the step is 10000"),
    "5000 digits in JSON": ("a.json", state().replace(b": 40", b": " + b"4" * 5000), "a.json is not valid JSON"),
    "10,000 letters": ("a.csv", csv("40,1e-3," + "x" * 10_000), " ... "),
    "a field of 200,000": ("a.csv", csv("40,1e-3," + "3" * 200_000), "a.csv is not a CSV (field larger"),
    "an endless LR": ("a.csv", csv("40,1e300,3"), "lr at step 40 is '1e300': it must be at most 1e+06"),
    "a vanishing LR": ("a.csv", csv("40,1e-320,3"), "it must be 0 or at least 1e-30"),
    "an endless loss": ("a.csv", csv("40,1,1e308"), "must be finite and positive, and at most 1e+06"),
    "endless tokens": (
        "a.csv",
        b"step,lr,loss,tokens\n1,1,3,1e308\n",
        "tokens at step 1 is '1e308': it must be",
    ),
    "a zero byte": ("a.csv", csv("40\0,1e-3,3"), r"the step is '40\x00'"),
    "a zero byte in a set": ("a.csv", csv("", "step,lr,eval_a\0_loss\n"), r"'a\x00' is no name of a validation set"),
    "an escape code in a run": ("a.json", state(run="a\x1b[31m"), r"'a\x1b[31m' is no name of a run"),
    "a run of 100,000 letters": ("a.json", state(run="a" * 100_000), "is no name of a run"),
    "half a character in a set": ("a.json", state(**{"eval_\ud800_loss": 3}), "a.json is not valid JSON"),
    "half a character in a run": ("a.json", state(run="\ud800"), "surrogates not allowed"),
    "UTF-16": ("a.csv", (HEAD + ROWS).encode("utf-16"), "give text in UTF-8"),
    "Latin 1": ("a.csv", "step,lr,eval_ä_loss\n1,1,3\n".encode("latin-1"), "give text in UTF-8"),
    "UTF-16 in JSON": ("a.json", state().decode().encode("utf-16"), "a.json is not valid JSON"),
    "deep JSON": ("a.json", b"[" * 100_000, "a.json is not valid JSON"),
    "JSON 900 deep": ("a.json", state().replace(b"null", b"[" * 900 + b"]" * 900), "nested more than 100 deep"),
    "a loss that is a mapping": ("a.json", state(eval_law_loss={"a": 1}), "log_history[39]: eval_law_loss at step 40"),
    "a name that is no text": ("\udcff.csv", csv("40,1e-3,3"), "has no name that can be printed: rename the file"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_odd_logs_are_one_line(case: str, tmp_path: Path, refused: Refused) -> None:
    name, content, line = TEXTS[case]
    path = tmp_path / name
    path.write_bytes(content)
    said = refused("fit", path)
    assert line in said
    assert str(tmp_path) in said


def own_table() -> pd.DataFrame:
    step = np.arange(1, 40)
    of_run = {"run": "a", "seed": 0, "model": "m", "params": 10, "step": step, "phase": "continual", "phase_step": step}
    return pd.DataFrame(
        {**of_run, "lr": 1e-3, "tokens": 1.0 * step, "validation": "law", "loss": 3 + 1 / step, "bits_per_byte": np.nan}
    )


TABLES: dict[str, tuple[str, Any, str]] = {
    "lists": ("loss", [[3.0]] * 39, "column 'loss' must hold one number a row, not object"),
    "mappings": ("loss", [{"a": 3.0}] * 39, "column 'loss' must hold one number"),
    "categories": ("run", pa.array(["a"] * 39).dictionary_encode(), "column 'run' must hold one text a row"),
    "truth": ("step", [True] * 39, "column 'step' must hold one integer"),
    "nothing": ("loss", pa.nulls(39), "column 'loss' must hold one number"),
    "numbers as text": ("loss", ["3"] * 39, "column 'loss' must hold one number"),
    "dates": ("step", pa.array(range(39), pa.timestamp("s")), "column 'step' must hold one integer"),
    "an endless LR": ("lr", [1e300] * 39, "lr is 1e+300 somewhere: it must be at most 1e+06"),
    "an escape code": ("run", ["\x1b[1m"] * 39, r"'\x1b[1m' is no name"),
    "no text in UTF-8": ("run", pa.array([b"\xff"] * 39), "is not a readable parquet file"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_of_odd_types_are_one_line(case: str, tmp_path: Path, refused: Refused) -> None:
    column, values, line = TABLES[case]
    table = pa.Table.from_pandas(own_table(), preserve_index=False)
    values = values if isinstance(values, pa.Array) else pa.array(values)
    table = table.set_column(table.column_names.index(column), column, values)
    metadata = {**table.schema.metadata, b"schema": b"cpt-dynamics/curves/1"}
    pa.parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    assert line in refused("fit", tmp_path / "a.parquet")


def test_a_step_of_a_table_is_bounded(tmp_path: Path, refused: Refused) -> None:
    far = own_table().assign(step=lambda table: table["step"] + 10**9, phase_step=lambda table: table["step"])
    files.write_table(tmp_path / "a.parquet", far, "cpt-dynamics/curves/1")
    assert "step is 1e+09 somewhere: it must be at most 1e+07" in refused("fit", tmp_path / "a.parquet")


def test_what_memory_cannot_hold_is_refused(tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "a.csv", "wb") as handle:
        handle.truncate(4_000_000_000)  # a hole: nothing is written
    said = refused("fit", tmp_path / "a.csv")
    assert "a.csv has 4,000 MB, and at most 200 MB are read: leave out columns, or keep every tenth row" in said
    rows = pa.table({"run": pa.array(["a"] * 1_000_000).dictionary_encode()})
    pa.parquet.write_table(rows.append_column("b", rows["run"]), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < formats.LARGEST
    monkeypatch.setattr(files, "MOST_CELLS", 1_000_000)
    assert "a.parquet has 1,000,000 rows of 2: keep every tenth row" in refused("fit", tmp_path / "a.parquet")
    assert "is a device or pipe" in refused("fit", "/dev/zero")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + (HEAD + ROWS).encode(), b"\xef\xbb\xbf" + state()])
def test_a_byte_order_mark_is_no_letter(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / ("a.json" if content.endswith(b"}") else "a.csv")
    path.write_bytes(content)
    assert main(["fit", str(path), *ANNEALING]) == 0


def test_nan_of_other_entries_of_a_state_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(state(grad_norm=float("nan")))
    assert main(["fit", str(tmp_path / "a.json"), *ANNEALING]) == 0


# --- stored fits ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two fits as the command fit writes them."""
    folder = tmp_path_factory.mktemp("fits")
    base = Scenario(Schedule(shape="wsd", end=0.1), 400, Schedule(shape="cosine"), 200, 8e-3, 10, 20)
    steps = np.concatenate([np.arange(40, 401, 30), 400 + np.arange(1, 201, 10)])
    table = pd.concat([base.features(SETTINGS, steps), base.with_knob("peak_lr", 2e-3).features(SETTINGS, steps)])
    paths = []
    for name, shift in (("general", 0.4), ("domain", -0.9)):
        truth = {"L0": 3.0, "A": 0.4, "alpha": 0.5, "C1": 0.3, "C2": 0.3, "B": shift, "E": 15.0, "beta": 0.3}
        law = get("cpt").fixed(alpha=0.5, E=15.0, beta=0.3)
        found = fit(law, table, get("cpt").predict(truth, table), n_starts=1, n_screen=8)
        paths.append(folder / f"{name}.json")
        files.write_json(paths[-1], {"schema": "cpt-dynamics/fit/1", **found.to_json(), "validation": name})
    return paths[0], paths[1]


FITS: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "no law": (("law",), "none", "there is no law 'none'"),
    "a validation set of control characters": (("validation",), "a\x1b[31m", "validation: no name that can be printed"),
    "law a number": (("law",), 5, "this is not a fit: law: Input should be a valid string"),
    "parameters null": (("parameters",), None, "this is not a fit: parameters: Input should be a valid dictionary"),
    "parameters empty": (("parameters",), {}, "is missing (fit again)"),
    "a parameter null": (("parameters", "B"), None, "this is not a fit: parameters.B: Input should be a valid number"),
    "a parameter text": (("parameters", "B"), "1", "this is not a fit: parameters.B"),
    "a parameter of 400 digits": (("parameters", "B"), 10**400, "this is not a fit: parameters.B"),
    "a parameter too many": (("parameters", "D"), 1.0, "there is no parameter 'D'"),
    "a parameter out of bounds": (("parameters", "A"), -3.0, "A is -3, outside its bounds"),
    "held missing": (("held",), ..., "this is not a fit: key 'held' is missing"),
    "held null": (("held", "E"), None, "this is not a fit: held.E: Input should be a valid number"),
    "held foreign": (("held", "self"), 1.0, "law 'cpt' has no parameter 'self'"),
    "bounds of three": (("bounds", "A"), [0, 1, 2], "this is not a fit: bounds.A"),
    "bounds turned": (("bounds", "A"), [1, 0], "bounds 1, 0 of 'A' cannot be used"),
    "settings missing": (("settings",), ..., "this is not a fit: key 'settings' is missing"),
    "settings empty": (("settings",), {}, "does not say how its areas were made"),
    "lambda 1": (("settings", "lambda"), 1.0, "this is not a fit: settings.lambda"),
    "lambda null": (("settings", "lambda"), None, "this is not a fit: settings.lambda"),
    "an endless power": (("settings", "lr_power"), 1e300, "this is not a fit: settings.lr_power"),
    "a foreign warm-up": (("settings", "warmup"), "x", "this is not a fit: settings.warmup"),
    "a range of one": (("ranges", "s1pt"), [1.0], "this is not a fit: ranges.s1pt"),
    "delta null": (("delta",), None, "this is not a fit: delta"),
    "warnings a number": (("warnings",), 3, "this is not a fit: warnings"),
    "another schema": (("schema",), "cpt-dynamics/fit/9", "schema: Input should be 'cpt-dynamics/fit/1'"),
    "first step text": (("first_step",), "x", "first_step is the text 'x': give a number"),
    "first step endless": (("first_step",), 10**12, "first_step: Input should be less than or equal to 10000000"),
    "validation a list": (("validation",), [], "validation: Input should be a valid string"),
    "refits text": (("left_out",), {"curves": ["x"]}, "left_out.curves.0: Input should be"),
    "a refit without parameters": (
        ("left_out",),
        {"curves": [{"group": "a", "undetermined": [], "parameters": {"A": 1.0}}]},
        "left_out: a parameter of the refit without 'a' is missing",
    ),
    "bands text": (("intervals",), {"mean": "x"}, "intervals.mean"),
}
READERS: dict[str, Callable[..., list[Any]]] = {
    "predict": lambda path, _: ["predict", path, "--schedule", "constant 50 at 1e-3; continual: linear 50 to 0"],
    "recommend": lambda path, other: ["recommend", path, other, *PT, "--steps", 200, "--weight", 0.5],
    "schedule": lambda path, other: ["schedule", other, path, *PT, "--steps", 200, "--weight", 0.5],
}


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("case", FITS)
def test_damaged_fits_are_one_line_when_they_are_read(
    case: str, command: str, stored: tuple[Path, Path], tmp_path: Path, refused: Refused
) -> None:
    keys, value, line = FITS[case]
    content = inner = files.read_json(stored[0])
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    if value is ...:
        del inner[keys[-1]]
    (tmp_path / "x.json").write_text(json.dumps(content), encoding="utf-8")
    said = refused(*READERS[command](tmp_path / "x.json", stored[1]))
    assert line in said
    assert "x.json" in said


BYTES = {
    "null": (b"null", "this is not a fit: Input should be a valid dictionary"),
    "a list": (b"[]", "this is not a fit"),
    "nested deep": (b'{"law":' * 100_000, "x.json is not valid JSON"),
    "nested 900 deep": (
        b'{"law":' * 900 + b"1" + b"}" * 900,
        "it is nested more than 100 deep",
    ),
    "5000 digits": (b'{"law": ' + b"5" * 5000 + b"}", "x.json is not valid JSON"),
    "NaN": (b'{"law": NaN}', "NaN is no number of JSON"),
    "half a character": (b'{"law": "\\ud800"}', "x.json is not valid JSON"),
    "cut": (b'{"law": "cpt"', "x.json is not valid JSON"),
    "Latin 1": (b'{"law": "\xe4"}', "x.json is not valid JSON"),
}


@pytest.mark.parametrize("case", BYTES)
def test_files_that_hold_no_fit_are_one_line(
    case: str, stored: tuple[Path, Path], tmp_path: Path, refused: Refused
) -> None:
    content, line = BYTES[case]
    (tmp_path / "x.json").write_bytes(content)
    for arguments in READERS.values():
        assert line in refused(*arguments(tmp_path / "x.json", stored[1]))


def test_a_vast_whole_number_of_a_stored_fit_is_a_number(
    stored: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(stored[0].read_text())
    content["parameters"]["C2"] = 2**70
    path = tmp_path / "fit.json"
    path.write_text(json.dumps(content))
    assert main(list(map(str, READERS["predict"](path, None)))) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_sound_fits_are_read(stored: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("predict", "recommend"):
        assert main([str(one) for one in READERS[command](*stored)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "is not valid JSON"),
        (b'{"figure": "fig03", "tit', "is not valid JSON"),
        (b"null", "is no result of fig03"),
        (b'{"figure": "fig04"}', "is no result of fig03"),
        (b'{"figure": "fig03"}', "key 'title' is missing"),
        (b'{"figure": "fig03", "title": ' + b"[" * 900 + b"]" * 900 + b"}", "nested more than 100 deep"),
    ],
)
def test_results_that_are_cut_or_foreign_are_one_line(content: bytes, line: str, tmp_path: Path) -> None:
    (tmp_path / "fig03.json").write_bytes(content)
    with pytest.raises(UserError, match=line) as caught:
        read_result(tmp_path / "fig03.json", Result)
    assert str(caught.value).startswith(str(tmp_path / "fig03.json"))


# --- options --------------------------------------------------------------------------------------------------

OPTIONS = [
    (["--steps", 10**12], "--steps is 1000000000000: give a number from 1 to 1e+07"),
    (["--steps", 2 * 10**8], "--steps is 200000000: give a number from 1 to 1e+07"),
    (["--steps", 1500, "--rewarmup", 9_999_999], "--rewarmup 9,999,999 is longer than CPT, --steps 1,500"),
    (["--steps", 1500, "--rewarmup", 10**12], "--rewarmup is 1000000000000"),
    (["--steps", 200, "--pretraining", "constant 1e12 at 1e-3"], "a whole number from 1 to 10,000,000, not '1e12'"),
    (["--steps", 200, "--pretraining", "constant 100 at 1e300"], "an LR cannot be negative, and is 0 or from"),
    (["--steps", 200, "--pretraining", "constant 100 at " + "9" * 10_000], " ... "),
    (["--steps", 200, "--params", "inf"], "--params is inf: give a number from 1"),
    (["--steps", 200, "--replay", "nan"], "--replay nan"),
]
OF_RECOMMEND = [
    (["--tolerance", "inf"], "--tolerance is inf"),
    (["--tolerance", "nan"], "--tolerance is nan"),
    (["--cap", "nan"], "--cap is nan"),
    (["--end", "nan"], "--end is nan"),
    (["--choose", "potential", "--peak", "1e300"], "--peak 1e300: give an LR above 0, or last"),
    (["--decay-share", "nan"], "--decay-share nan"),
    (["--choose", "steps", "--range", "steps=1:1e12"], "--range steps=1:1e12: write steps=LOW:HIGH"),
]
OF_SCHEDULE = [
    (["--floor", "nan"], "--floor is nan"),
    (["--peak-cap", "inf"], "--peak-cap is inf"),
    (["--knots", 10**9], "--knots is 1000000000"),
    (["--steps", 10**7], "64 knots over 9,999,990 steps are more than the search can hold: give at most 10 knots"),
]
OF_FIT = [
    (["--starts", 10**9], "--starts is 1000000000: give a number from 1 to 10,000"),
    (["--lr-power", "inf"], "--lr-power is inf"),
    (["--first-step", 10**30], "--first-step is 1000000"),
    (["--level", "nan"], "--level is nan"),
    (["--lambda", "nan"], "lambda is nan"),
    (["--fix", "B=inf"], "--fix B=inf: write NAME=VALUE"),
    (["--fix", "B=1e300"], "--fix B=1e300: write NAME=VALUE"),
    (["--sweep-lambda", "nan"], "--sweep-lambda is 'nan'"),
    (["--sweep-lambda", ",".join(["0.5"] * 101)], "give at most 100 numbers"),
    (["--params", "inf"], "--params inf: write RUN=VALUE with a number from 1 to 1e+18"),
    (["--replay", "nan"], "--replay nan: write RUN=VALUE with a number from 0 to 1"),
]


@pytest.mark.parametrize(("more", "line"), [*OPTIONS, *OF_RECOMMEND])
def test_numbers_of_recommend_are_bounded(
    more: list[Any], line: str, stored: tuple[Path, Path], refused: Refused
) -> None:
    assert line in refused("recommend", *stored, "--weight", 0.5, *PT, "--steps", 200, *more)


@pytest.mark.parametrize(("more", "line"), [*OPTIONS, *OF_SCHEDULE])
def test_numbers_of_schedule_are_bounded(
    more: list[Any], line: str, stored: tuple[Path, Path], refused: Refused
) -> None:
    assert line in refused("schedule", *stored, "--weight", 0.5, *PT, "--steps", 200, *more)


@pytest.mark.parametrize(("more", "line"), OF_FIT)
def test_numbers_of_fit_are_bounded(more: list[Any], line: str, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "a.csv").write_text(HEAD + ROWS, encoding="utf-8")
    assert line in refused("fit", tmp_path / "a.csv", *more)


def test_numbers_of_predict_are_bounded(stored: tuple[Path, Path], refused: Refused) -> None:
    schedule = ["--schedule", "constant 50 at 1e-3"]
    assert "--every is 1000000000000" in refused("predict", stored[0], *schedule, "--every", 10**12)
    assert "not '1e9'" in refused("predict", stored[0], "--schedule", "constant 1e9 at 1e-3")
