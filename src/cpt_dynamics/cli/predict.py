"""predict: the loss under a schedule, or under that of logged runs, by a fit of the command `fit`."""

import argparse
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics import files, fitting
from cpt_dynamics.cli import log_options as logs
from cpt_dynamics.cli.text import bullets, error_table, number, percent, table, together
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit
from cpt_dynamics.fitting.logged import FeatureSettings, drawn_steps, from_step, is_number, predicted, read_fit
from cpt_dynamics.fitting.predictions import extrapolation, untrained
from cpt_dynamics.laws.base import HISTORY
from cpt_dynamics.logs import parse
from cpt_dynamics.logs.measured import Data

SCHEDULE = "schedule"  # name of the run that a schedule expression is
LINES = 20  # about how many rows of a run are printed
CHECKED = 100_000  # steps of a run that are looked at for an LR of zero
COLUMNS = ("run", "step", "phase", "phase_step", "lr", "predicted", "loss")


@dataclass(frozen=True)
class Bands:
    """Half-widths, as fractions of the loss, that errors of held-out curves stay within, each at its level."""

    mean: float
    mean_level: float
    end: float
    end_level: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is predicted: `drawn` holds the rows of a drawn curve, `rows` those to be told, with logged losses."""

    found: Fit
    data: Data
    drawn: pd.DataFrame
    rows: pd.DataFrame
    printed: Mapping[str, set[int]]
    settings: FeatureSettings
    bands: Bands | None


def run_predict(options: argparse.Namespace) -> None:
    logs.check_results(options, [options.fit, *options.logs])
    found, content = read_fit(options.fit)
    prediction = _predict(found, content, options)
    result = {
        "fit": options.fit,
        "law": found.law.name,
        "validation": content.get("validation"),
        "runs": {run: _summary(prediction, run) for run in prediction.data.runs},
        "bands": None if prediction.bands is None else asdict(prediction.bands),
        "warnings": _warnings(prediction),
        "notes": prediction.data.notes,
        "rows": prediction.rows[list(COLUMNS)].to_dict("records"),
    }
    figure = _figure(prediction) if options.plot else None
    if options.out:
        with logs.writing(options.out), files.atomic(options.out) as temporary:
            prediction.rows[list(COLUMNS)].to_csv(temporary, index=False, float_format="%.8g", lineterminator="\n")
    logs.give(options, result, [*_text(prediction, plain(result)), *logs.written(options, "prediction")], figure)


def _predict(found: Fit, content: Mapping[str, Any], options: argparse.Namespace) -> Prediction:
    data = _data(options, content)
    first = options.first_step if options.first_step > 1 else _first_step(content)
    settings = replace(FeatureSettings.of(found), **logs.by_run(options, data.schedules, data.schedules))
    printed = {run: _printed_steps(data, run, options.every) for run in data.runs}
    logged = {run: set(data.curves.loc[data.curves["run"] == run, "step"]) for run in data.runs}
    steps = {run: printed[run] | logged[run] | drawn_steps(data, run, first) for run in data.runs}
    drawn, _ = from_step(predicted(found, data, steps, settings), first)
    for run in data.runs:
        if run not in set(drawn["run"]):
            raise UserError(f"law {found.law.name!r} has no finite loss at any step of run {run!r}: is its LR zero?")
    losses = data.curves[["run", "step", "loss"]].astype({"step": "int64"})
    drawn = drawn.drop(columns="loss", errors="ignore").merge(losses, on=["run", "step"], how="left")
    told = [step in printed[run] or step in logged[run] for run, step in zip(drawn["run"], drawn["step"], strict=True)]
    rows = drawn[np.array(told)].reset_index(drop=True)
    return Prediction(found, data, drawn, rows, printed, settings, _bands(content))


def _data(options: argparse.Namespace, content: Mapping[str, Any]) -> Data:
    """The logs, or a schedule as a run without losses."""
    if options.logs:
        prefer = content.get("validation")
        return logs.read(options, prefer if isinstance(prefer, str) else None)
    if not options.schedule:
        raise UserError("nothing says under which LR to predict: give --schedule EXPR or LOG...")
    if len(options.schedule) > 1:
        raise UserError(f"--schedule is given {len(options.schedule)} times: predict one schedule at a time")
    none = pd.DataFrame({name: pd.Series(dtype=float) for name in ("step", "loss", "params", "tokens")})
    curves = none.assign(run=pd.Series(dtype=object), phase=pd.Series(dtype=object))
    return Data(curves, parse(options.schedule[0]).table(SCHEDULE), "", [], {})


def _first_step(content: Mapping[str, Any]) -> int:
    """The step of pre-training from which the law was fitted."""
    value = content.get("first_step")
    return value if isinstance(value, int) else 1


def _bands(content: Mapping[str, Any]) -> Bands | None:
    """The bands of held-out curves, where the fit file has some that are fractions of the loss."""
    try:
        mean, end = (content["intervals"][name] for name in ("mean", "end"))
        values = [mean["half_width"], mean["level"], end["half_width"], end["level"]]
        relative = content["left_out"]["relative"]
    except (KeyError, TypeError):
        return None
    return Bands(*values) if relative and all(is_number(value) and 0 <= value <= 1 for value in values) else None


def _printed_steps(data: Data, run: str, every: int | None) -> set[int]:
    """Every N steps (not stated: logged ones about as far apart), the last step of pre-training and the end."""
    before, last = data.lengths(run)
    logged = data.curves.loc[data.curves["run"] == run, "step"].to_numpy()
    steps = set(range(every or _round(last / LINES), last + 1, every or _round(last / LINES)))
    if every is None and len(logged):
        steps = {int(logged[np.argmin(np.abs(logged - step))]) for step in steps}
    return steps | {last} | ({before} if 0 < before < last else set())


def _round(value: float) -> int:
    """The next number of 1, 2, 5, 10, 20 ..."""
    scale = 10 ** math.floor(math.log10(max(value, 1)))
    return int(next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= value or factor == 10))


def _summary(prediction: Prediction, run: str) -> dict[str, Any]:
    """Losses at the end, at the transfer and at their highest after it, and the errors where losses are logged."""
    rows = prediction.drawn[prediction.drawn["run"] == run]
    before, last = prediction.data.lengths(run)
    after = rows[rows["phase"] == "continual"]
    end, bands = rows.iloc[-1], prediction.bands
    result: dict[str, Any] = {"steps": last, "pretraining_steps": before, "end": _point(end), "errors": None}
    if bands is not None:
        loss = float(end["predicted"])
        result["end"] |= {"lower": loss * (1 - bands.end), "upper": loss * (1 + bands.end)}
    at = rows[rows["step"] == before]
    result["transfer"] = _point(at.iloc[0]) if len(at) and len(after) else None
    result["highest_after"] = _point(after.iloc[int(after["predicted"].to_numpy().argmax())]) if len(after) else None
    logged = rows[rows["loss"].notna()]
    if len(logged):
        late = logged[logged["phase"] == "continual"]
        delta = prediction.found.delta
        result["errors"] = {
            name: fitting.measure(some["loss"].to_numpy(), some["predicted"].to_numpy(), delta)
            for name, some in (("all", logged), ("continual", late))
        }
    return result


def _point(row: "pd.Series[Any]") -> dict[str, Any]:
    return {"step": int(row["step"]), "lr": float(row["lr"]), "predicted": float(row["predicted"])}


def _warnings(prediction: Prediction) -> list[str]:
    """`fitting.prediction_warnings`: falls at an LR of zero at all steps, ranges where the prediction is told."""
    found, data = prediction.found, prediction.data
    dense = prediction.drawn
    if HISTORY not in found.law.inputs:
        steps = {
            run: set(np.unique(np.linspace(1, data.lengths(run)[1], CHECKED).round().astype(int)).tolist())
            for run in data.runs
        }
        dense = predicted(found, data, steps, prediction.settings)
    return [*untrained(found, dense), *extrapolation(found, prediction.rows)]


def _figure(prediction: Prediction) -> Any:
    from cpt_dynamics.figures.kit.fit_plot import (  # takes half a second, so only where it is used
        Panel,
        draw_prediction,
    )

    drawn, data, bands = prediction.drawn, prediction.data, prediction.bands
    panels = [
        Panel(run, drawn[drawn["run"] == run], drawn[(drawn["run"] == run) & drawn["loss"].notna()])
        for run in data.runs
    ]
    title = f"{prediction.found.law.name}" + (f" on {data.validation}" if data.validation else "")
    return draw_prediction(panels, title, *((bands.mean, bands.mean_level) if bands else ()))


# --- text ---------------------------------------------------------------------------------------------------


def _text(prediction: Prediction, result: Mapping[str, Any]) -> list[str]:
    settings, bands = prediction.found.settings, prediction.bands
    about = f"law {result['law']} of {result['fit']}"
    about += f", fitted to losses of {result['validation']}" if result["validation"] else ""
    lines = [f"{about} (lambda {settings['lambda']:g})"]
    for run, summary in result["runs"].items():
        lines += ["", *_run_lines(run, summary, bands), "", *_rows_lines(prediction, run)]
    if bands is not None:
        lines += [
            "",
            *bullets(
                [
                    f"held-out curves of the fit: mean error within {percent(bands.mean)} ({bands.mean_level:.0%} of"
                    f" curves), error at the end within {percent(bands.end)} ({bands.end_level:.0%})"
                ]
            ),
        ]
    else:
        lines += ["", "no band around the prediction: fit with --intervals to have one"]
    notes = together(result["notes"], list(prediction.data.files))
    return [*lines, *logs.sections({"warnings": result["warnings"], "how the logs were read": notes}), ""]


def _run_lines(run: str, summary: Mapping[str, Any], bands: Bands | None) -> list[str]:
    end, transfer, highest = summary["end"], summary["transfer"], summary["highest_after"]
    before = summary["pretraining_steps"]
    parts = f"{summary['steps']:,} steps" + (f", {before:,} of them pre-training" if transfer else "")
    band = f" ({end['lower']:.4f} to {end['upper']:.4f} at {bands.end_level:.0%})" if bands else ""
    lines = [f"{run}: {parts}", f"  at the end, step {end['step']:,}: {end['predicted']:.4f}{band}"]
    if transfer:
        change = end["predicted"] - transfer["predicted"]
        lines.append(f"  at the transfer, step {transfer['step']:,}: {transfer['predicted']:.4f}; change {change:+.4f}")
    if highest:
        lines.append(f"  highest after it, step {highest['step']:,}: {highest['predicted']:.4f}")
    return lines


def _rows_lines(prediction: Prediction, run: str) -> list[str]:
    rows = prediction.rows[(prediction.rows["run"] == run) & prediction.rows["step"].isin(prediction.printed[run])]
    logged = rows["loss"].notna().any()
    cells = []
    for row in rows.to_dict("records"):
        cell = [f"{row['step']:,}", row["phase"], number(row["lr"], 3), f"{row['predicted']:.4f}"]
        known = logged and not math.isnan(row["loss"])
        more = [f"{row['loss']:.4f}", percent(row["predicted"] / row["loss"] - 1)] if known else ["", ""]
        cells.append(cell + (more if logged else []))
    lines = table(("step", "phase", "lr", "predicted", *(("logged", "error") if logged else ())), cells, left=0)
    errors = _summary(prediction, run)["errors"]
    if errors:
        names = [("all logged rows", errors["all"]), ("after a transfer", errors["continual"])]
        lines += ["", *error_table([(name, found) for name, found in names if found["n"]])]
    return lines
