"""Anyone's logs: every format reads as the curve table, and every mistake is explained in one line."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpt_dynamics import curves
from cpt_dynamics.errors import UserError
from cpt_dynamics.logs import Log, expressions, merge_logs, read_log, read_logs

CSV = """step,lr,loss
2,1e-3,3.5
4,8e-4,3.25
6,4e-4,3.0
"""
# As W&B writes a chart: every cell quoted, an x axis that all runs share, and three columns for each run and metric.
WANDB = """\
"Step","brisk-pond-1 - eval/loss","brisk-pond-1 - eval/loss__MIN","brisk-pond-1 - eval/loss__MAX",\
"calm - sky - eval/loss","calm - sky - eval/loss__MIN","calm - sky - eval/loss__MAX"
"100","3.5","3.5","3.5","","",""
"150","","","","3.25","3.0","3.5"
"200","3.0","3.0","3.0","2.75","2.75","2.75"
"""
WANDB_LR = """\
"Step","brisk-pond-1 - train/learning_rate","brisk-pond-1 - train/learning_rate__MIN",\
"brisk-pond-1 - train/learning_rate__MAX"
"1","1e-3","1e-3","1e-3"
"201","5e-4","5e-4","5e-4"
"""
STATE: dict[str, Any] = {
    "best_global_step": None,
    "global_step": 4,
    "log_history": [
        {"epoch": 0.1, "loss": 5.0, "grad_norm": 1.0, "learning_rate": 0.001, "step": 1},
        {"epoch": 0.2, "loss": 4.0, "grad_norm": 1.0, "learning_rate": 0.0008, "step": 2},
        {"epoch": 0.2, "eval_general_loss": 4.5, "eval_general_runtime": 1.0, "step": 2},
        {"epoch": 0.2, "eval_law_loss": 3.5, "eval_law_runtime": 1.0, "step": 2},
        {"epoch": 0.4, "loss": 3.0, "grad_norm": 1.0, "learning_rate": 0.0004, "step": 4},
        {"epoch": 0.4, "eval_general_loss": 4.25, "eval_general_runtime": 1.0, "step": 4},
        {"epoch": 0.4, "eval_law_loss": 3.25, "eval_law_runtime": 1.0, "step": 4},
        {"epoch": 0.4, "train_loss": 4.0, "train_runtime": 9.0, "step": 4},
    ],
}


def write(folder: Path, text: str | dict[str, Any], name: str = "mine.csv") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def losses(log: Log, **where: str) -> list[tuple[int, float]]:
    rows = log.curves
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return list(zip(rows["step"].tolist(), rows["loss"].tolist(), strict=True))


def lr(log: Log) -> list[float]:
    return log.schedules["lr"].tolist()


# --- CSV ------------------------------------------------------------------------------------------------------


def test_a_plain_csv(tmp_path: Path) -> None:
    log = read_log(write(tmp_path, CSV), seed=3, model="small", params=1000)
    assert list(log.curves) == list(curves.CURVE_COLUMNS)
    assert losses(log) == [(2, 3.5), (4, 3.25), (6, 3.0)]
    assert lr(log) == pytest.approx([1e-3, 1e-3, 9e-4, 8e-4, 6e-4, 4e-4])
    same = log.curves[["run", "seed", "model", "params", "phase", "tokens", "validation"]].drop_duplicates()
    assert same.to_numpy().tolist() == [["mine", 3, "small", 1000, "continual", 0.0, "eval"]]
    assert log.curves["phase_step"].tolist() == [2, 4, 6]
    assert log.curves["bits_per_byte"].isna().all()
    assert log.notes == [
        "mine: the column of losses is taken as those of a validation set, called eval",
        "mine: lr of 2 of 6 steps interpolated between logged steps",
        "mine: lr of the steps before 2, the first logged, taken as that of step 2",
        "mine: no phase is stated: all steps are continual, after an unknown pre-training",
        "mine: the tokens seen are unknown and set to 0",
        "mine: losses taken as nats per token; the option unit says otherwise",
    ]
    assert np.isfinite(curves.features(log.curves, log.schedules)[[*curves.AREA_COLUMNS]]).all(axis=None)


def test_what_is_stated_is_not_assumed(tmp_path: Path) -> None:
    text = "step,lr,tokens,phase,loss_law_nats\n1,1,10,PT,4\n2,1,20,pre-training,3\n3,1,30,CPT,2\n"
    log = read_log(write(tmp_path, text))
    assert log.notes == []
    assert log.unit_assumed == frozenset()
    assert log.curves["validation"].unique().tolist() == ["law"]
    assert log.curves["phase"].tolist() == ["pretraining", "pretraining", "continual"]
    assert log.curves["phase_step"].tolist() == [1, 2, 1]
    assert log.curves["tokens"].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Step,LR,Loss", {"eval": 2.0}),
        ("iteration,learning_rate,eval_loss", {"eval": 2.0}),
        ("global_step,Learning Rate,val/loss", {"eval": 2.0}),
        ("trainer/global_step,lr,loss_law", {"law": 2.0}),
        ("step,lr,eval_Knowledge-Pile_loss", {"Knowledge-Pile": 2.0}),
        ("step,lr,law/loss", {"law": 2.0}),
        ("step,lr,eval/law_loss", {"law": 2.0}),
        ("step,lr,train_loss", {"train": 2.0}),
        ("step,lr,eval_law_loss_bits", {"law": 2.0 * math.log(2)}),
        ("step,lr,law bits_per_token", {"law": 2.0 * math.log(2)}),
        ("step,lr,val_loss (bits)", {"eval": 2.0 * math.log(2)}),
        ("step,lr,eval_law_loss,loss_code,train_loss,loss,aux_loss,loss_scale", {"law": 2.0, "code": 3.0}),
    ],
)
def test_columns_are_known_by_common_names(tmp_path: Path, header: str, found: dict[str, float]) -> None:
    cells = ["5", "0.1", *map(str, range(2, len(header.split(","))))]
    log = read_log(write(tmp_path, f"{header}\n{','.join(cells)}\n"))
    assert dict(zip(log.curves["validation"], log.curves["loss"], strict=True)) == pytest.approx(found)
    assert log.curves["step"].unique().tolist() == [5]


def test_columns_of_any_name_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "step;i;eta;loss;b;law\n9;1;0.5;9;3;2\n9;2;0.25;9;2.5;1.5\n")
    log = read_log(path, columns={"step": "i", "lr": "eta", "loss/code": "b", "loss": "law"}, validation="legal")
    assert losses(log, validation="code") == [(1, 3.0), (2, 2.5)]
    assert losses(log, validation="legal") == [(1, 2.0), (2, 1.5)]
    assert lr(log) == [0.5, 0.25]
    for columns, words in [
        ({"loss": "c"}, r"no column holds loss, since there is no 'c' \(found: step, i, eta, loss, b, law\)"),
        ({"rate": "eta"}, "no field 'rate', only step, lr"),
    ]:
        with pytest.raises(UserError, match=words):
            read_log(path, columns=columns)


def test_several_runs_and_sets_in_one_long_table(tmp_path: Path) -> None:
    rows = [f"{run},{s},{v},{1 / s},{s}" for run in "ab" for v in ("law", "code") for s in (1, 2, 3)]
    path = write(tmp_path, "\n".join(["run\tstep\tvalidation\tlr\tloss", *(r.replace(",", "\t") for r in rows)]))
    log = read_log(path, pretraining_steps=2)
    assert len(log.curves) == 12
    assert log.files == {"a": str(path), "b": str(path)}
    assert losses(log, run="b", validation="code") == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert log.schedules["phase"].tolist() == ["pretraining", "pretraining", "continual"] * 2
    only = read_log(path, run="b", validation="law")
    assert only.curves[["run", "validation"]].drop_duplicates().to_numpy().tolist() == [["b", "law"]]
    with pytest.raises(UserError, match="no run 'c', only a, b"):
        read_log(path, run="c")
    with pytest.raises(UserError, match="validation set 'prose', only law, code"):
        read_log(path, validation="prose")


def test_train_and_eval_rows_interleave(tmp_path: Path) -> None:
    """Empty cells were not logged; only the losses that are read need to be right."""
    text = "step,lr,train_loss,val_loss\n0,0.1,9,5\n1,0.1,nan,\n2,0.2,8,\n2,,,4\n\n3,0.1,8,None\n4,,,3.5\n"
    log = read_log(write(tmp_path, text), unit="nats")
    assert losses(log) == [(2, 4.0), (4, 3.5)]
    assert lr(log) == pytest.approx([0.1, 0.2, 0.1, 0.1])
    assert log.notes[:3] == [
        "mine: training losses are left out",
        "mine: what is logged at step 0, before training, is left out; if the log calls its first training step 0, "
        "set the option first_step to 0",
        "mine: lr of the steps after 3, the last logged, taken as that of step 3",
    ]
    with pytest.raises(UserError, match="line 3: train_loss at step 1 is 'nan'"):
        read_log(write(tmp_path, text), validation="train")
    trained = read_log(write(tmp_path, text.replace("nan", "8.5")), validation="train")
    assert losses(trained, validation="train") == [(1, 9.0), (2, 8.5), (3, 8.0), (4, 8.0)]
    assert "mine: training losses begin at step 0, so steps are counted from 1 instead" in trained.notes


def test_steps_that_count_from_0(tmp_path: Path) -> None:
    path = write(tmp_path, CSV.replace("2,", "0,", 1))
    assert losses(read_log(path)) == [(4, 3.25), (6, 3.0)]
    assert losses(read_log(path, first_step=0)) == [(1, 3.5), (5, 3.25), (7, 3.0)]
    assert lr(read_log(path, first_step=0))[0] == 1e-3


def test_files_of_one_run_complement_each_other(tmp_path: Path) -> None:
    rates = write(tmp_path, "step,lr\n1,0.4\n5,0.2\n", "rates.csv")
    text = write(tmp_path, "step,law/loss\n3,2\n5,1\n", "law.csv")
    more = write(tmp_path, "step,code/loss\n4,3\n", "code.csv")
    log = read_log([text, rates, more], run="mine")
    assert set(log.curves["run"]) == {"mine"}
    assert losses(log, validation="law") == [(3, 2.0), (5, 1.0)]
    assert lr(log) == pytest.approx([0.4, 0.35, 0.3, 0.25, 0.2])
    with pytest.raises(UserError, match=r"code.csv, line 2: a second loss of code at step 4"):
        read_log([text, rates, more, write(tmp_path, "step,code/loss\n4,3\n", "twice/code.csv")])
    with pytest.raises(UserError, match=r"no column holds the learning rate .*schedule"):
        read_log([text, more])


def test_phases(tmp_path: Path) -> None:
    path = write(tmp_path, CSV)
    assert read_log(path, pretraining_steps=4).curves["phase_step"].tolist() == [2, 4, 2]
    assert set(read_log(path, pretraining_steps="all").schedules["phase"]) == {"pretraining"}
    assert set(read_log(path, pretraining_steps=0).schedules["phase"]) == {"continual"}
    for steps in (-1, "some"):
        with pytest.raises(UserError, match="pretraining_steps is"):
            read_log(path, pretraining_steps=steps)  # type: ignore[arg-type]

    logged = write(tmp_path, "step,phase,lr,loss\n2,pt,1,3\n6,cpt,1,2\n")
    between = read_log(logged)
    assert between.curves["phase_step"].tolist() == [2, 4]
    assert "mine: the transfer is somewhere after step 2 and up to 6, taken as after 2" in between.notes
    assert read_log(logged, pretraining_steps=5).curves["phase_step"].tolist() == [2, 1]
    contradicted = read_log(logged, pretraining_steps=1)
    assert contradicted.curves["phase"].tolist() == ["pretraining", "continual"]
    assert "mine: phases as logged, not as pretraining_steps or the schedule say" in contradicted.notes
    with pytest.raises(UserError, match="line 3: pre-training at step 6, after continual steps"):
        read_log(write(tmp_path, "step,phase,lr,loss\n2,cpt,1,3\n6,pt,1,2\n"))
    with pytest.raises(UserError, match="line 2: the phase is 'eval'"):
        read_log(write(tmp_path, "step,phase,lr,loss\n2,eval,1,3\n"))


def test_bits_become_nats(tmp_path: Path) -> None:
    path = write(tmp_path, CSV)
    bits = read_log(path, unit="bits")
    assert bits.curves["loss"].tolist() == pytest.approx(np.array([3.5, 3.25, 3.0]) * math.log(2))
    assert bits.unit_assumed == frozenset()
    stated = write(tmp_path, CSV.replace("loss", "loss_bits"), "stated.csv")
    assert read_log(stated).curves["loss"].tolist() == bits.curves["loss"].tolist()
    with pytest.raises(UserError, match="'loss_bits' says bits, but the option unit says nats"):
        read_log(stated, unit="nats")


# --- schedules ------------------------------------------------------------------------------------------------


def test_a_schedule_in_place_of_the_logged_lr(tmp_path: Path) -> None:
    path = write(tmp_path, "step,loss\n2,3.5\n5,3\n")
    log = read_log(path, schedule="warmup 2 to 1; constant 1; continual: linear 3 to 0.5")
    assert lr(log) == pytest.approx([0.5, 1, 1, 5 / 6, 4 / 6, 0.5])
    assert log.curves["lr"].tolist() == pytest.approx([1, 4 / 6])
    assert log.curves["phase_step"].tolist() == [2, 2]
    assert "mine: lr from the stated schedule" in log.notes
    with pytest.raises(UserError, match="goes to step 5, but the schedule 'constant 4 at 1' ends at step 4"):
        read_log(path, schedule="constant 4 at 1")
    with pytest.raises(UserError, match="pretraining_steps is 2, but the schedule has 3 steps of pretraining"):
        read_log(path, schedule="constant 3 at 1; continual: constant 3", pretraining_steps=2)


def test_a_schedule_must_agree_with_the_logged_lr(tmp_path: Path) -> None:
    path = write(tmp_path, CSV.replace("1e-3", "1.0009e-3"))
    agreed = "constant 2 at 1e-3; linear 2 to 8e-4; linear 2 to 4e-4"
    assert lr(read_log(path, schedule=agreed)) == expressions.parse(agreed).lr.tolist()
    assert "agrees with the lr logged at 3 steps" in read_log(path, schedule=agreed).notes[1]
    with pytest.raises(UserError, match=r"line 2: the logged lr of step 2 is 0.0010011, that of the schedule 0.001:"):
        read_log(write(tmp_path, CSV.replace("1e-3", "1.0011e-3"), "other.csv"), schedule=agreed)
    with pytest.raises(
        UserError, match=r"mine.csv, line 3: the logged lr of step 4 is 0.0008, that of the schedule 0.0009"
    ):
        read_log(path, schedule="constant 2 at 1e-3; linear 2 to 9e-4; linear 2 to 4e-4")


@pytest.mark.parametrize(
    ("text", "expected", "pretraining"),
    [
        ("warmup 2 to 1; constant 2; linear 2 to 0", [0.5, 1, 1, 1, 0.5, 0], 6),
        ("constant 1_0 at 2e-4", [2e-4] * 10, 10),
        ("Pretraining: constant 2 at 1\nlinear 2 to .5,\ncontinual: warmup 2 from 0 to 1, wsd 5 to 0 decay 0.4",
         [1, 1, 0.75, 0.5, 0.5, 1, 1, 1, 1, 0.5, 0], 4),
        ("continual: warmup 4 to 1 from 0.2", [0.4, 0.6, 0.8, 1.0], 0),
        ("cosine 2 to 0 from 1", [0.5, 0], 2),
        ("1-sqrt 4 to 0 from 1", [0.5, 1 - math.sqrt(0.5), 1 - math.sqrt(0.75), 0], 4),
        ("exponential 2 from 1 to 0.25", [0.5, 0.25], 2),
        ("wsd 4 from 1 to 0.25 shape exponential decay 0.5;", [1, 1, 0.5, 0.25], 4),
        ("delayed; warmup 2 to 1; linear 2 to 0; continual: delayed, warmup 2 to 1", [0, 0.5, 1, 0.5, 0, 0.5], 4),
    ],
)  # fmt: skip
def test_schedule_expressions(text: str, expected: list[float], pretraining: int) -> None:
    found = expressions.parse(text)
    assert found.lr.tolist() == pytest.approx(expected)
    assert found.pretraining_steps == pretraining
    table = found.table("mine")
    assert table["phase"].tolist() == ["pretraining"] * pretraining + ["continual"] * (len(expected) - pretraining)
    curves.check_schedules(table, "table")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the schedule is empty"),
        (" ; ,", "the schedule is empty"),
        ("warm 5 to 1", "'warm 5 to 1': no shape 'warm', only warmup, constant"),
        ("warmup", "'warmup': the number of steps is missing"),
        ("warmup 5", "'warmup 5': the LR that it ends with is missing"),
        ("warmup 5 to", "a value is missing after 'to'"),
        ("warmup 5 to high", "'high' is not a number"),
        ("warmup 5 to nan", "'nan' is not a number"),
        ("warmup 5 to -1", "cannot be negative"),
        ("warmup 5 at 1", "no word 'at' for warmup, only from, to"),
        ("warmup 5 to 1 to 2", "twice"),
        ("warmup 2.5 to 1", "whole number from 1"),
        ("warmup 0 to 1", "whole number from 1"),
        ("constant 1e12 at 1", "whole number from 1"),
        ("constant 9e6 at 1; constant 9e6", "18,000,000 steps"),
        ("constant 5 at 1; warmup 5 to 0.5", "'warmup 5 to 0.5': a warm-up cannot fall"),
        ("constant 5", "starts from is unknown: add at LR"),
        ("cosine 5 to 0", "starts from is unknown: add from LR"),
        ("constant 5 at 1; cosine 5 to 2", "a decay cannot rise, from 1 to 2"),
        ("constant 5 at 1; exponential 5 to 0", "cannot reach 0"),
        ("constant 5 at 1; wsd 5 to 0", "add decay SHARE"),
        ("constant 5 at 1; wsd 5 to 0 decay 1.5", "decay 1.5 leaves no step"),
        ("constant 5 at 1; wsd 5 to 0 decay 0.01", "decay 0.01 leaves no step"),
        ("constant 5 at 1; wsd 5 to 0 decay 0.2 shape round", "no decay shape 'round'"),
        ("warmup 5 to 1; delayed", "delayed stands alone, as the first part"),
        ("cpt: warmup 5 to 1", "no phase 'cpt', only pretraining and continual"),
        ("continual: constant 5 at 1; pretraining: constant 5", "pretraining cannot begin after continual"),
        ("constant 5 at 1; pretraining: constant 5", "pretraining cannot begin after pretraining"),
        ("constant 5 at 1; continual:", "continual has no part"),
        ("delayed", "pretraining has no part"),
    ],
)
def test_faulty_expressions_are_explained(text: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        expressions.parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.integers(1, 30), st.integers(1, 30), st.floats(1e-6, 1), st.floats(0, 1),
    st.sampled_from(["linear", "cosine", "1-sqrt", "exponential"]),
)  # fmt: skip
def test_expressions_rise_fall_and_end_where_they_say(up: int, down: int, top: float, share: float, shape: str) -> None:
    end = max(top * share, 1e-9)
    found = expressions.parse(f"warmup {up} to {top!r}; {shape} {down} to {end!r}").lr
    assert len(found) == up + down
    assert found[0] > 0
    assert found[up - 1] == pytest.approx(top)
    assert found[-1] == pytest.approx(end, abs=1e-12)
    assert np.all(np.diff(found[:up]) > 0)
    assert np.all(np.diff(found[up - 1 :]) <= 1e-15)
    delayed = expressions.parse(f"delayed; warmup {up} to {top!r}; {shape} {down} to {end!r}").lr
    assert delayed.tolist() == pytest.approx([0, *found[:-1]])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.floats(1e-30, 1) | st.just(0.0)), min_size=1, unique_by=lambda pair: pair[0]
    )
)
def test_the_lr_goes_through_every_logged_value(tmp_path_factory: pytest.TempPathFactory, pairs: Any) -> None:
    rows = sorted(pairs)
    path = tmp_path_factory.mktemp("logs") / "mine.csv"
    path.write_text("step,lr,loss\n" + "".join(f"{step},{rate!r},1\n" for step, rate in rows))
    log = read_log(path)
    curves.check_pair(log.curves, log.schedules)
    assert log.curves["lr"].tolist() == [rate for _, rate in rows]
    assert len(log.schedules) == rows[-1][0]
    assert log.schedules["lr"].between(min(r for _, r in rows), max(r for _, r in rows)).all()


# --- Hugging Face -----------------------------------------------------------------------------------------------


def test_a_trainer_state(tmp_path: Path) -> None:
    path = write(tmp_path, STATE, "trainer_state.json")
    log = read_log(path, run="hf")
    assert losses(log, validation="general") == [(2, 4.5), (4, 4.25)]
    assert losses(log, validation="law") == [(2, 3.5), (4, 3.25)]
    assert lr(log) == pytest.approx([0.001, 0.0008, 0.0006, 0.0004])
    assert "hf: training losses are left out" in log.notes
    assert losses(read_log(path, validation="train")) == [(1, 5.0), (2, 4.0), (4, 3.0)]
    assert losses(read_log(path, validation="law")) == [(2, 3.5), (4, 3.25)]


def test_a_trainer_state_with_one_set_or_none(tmp_path: Path) -> None:
    history = [{k: v for k, v in e.items() if "law" not in k} for e in STATE["log_history"]]
    one = json.loads(json.dumps({**STATE, "log_history": history}).replace("eval_general_loss", "eval_loss"))
    log = read_log(write(tmp_path, one, "runs/checkpoint-4/trainer_state.json".replace("/", "_")))
    assert losses(log, validation="eval") == [(2, 4.5), (4, 4.25)]
    assert losses(read_log(write(tmp_path, one, "x.json"), validation="law"), validation="law") == [(2, 4.5), (4, 4.25)]
    none = {**STATE, "log_history": [e for e in STATE["log_history"] if "loss" in e]}
    log = read_log(write(tmp_path, none, "none.json"))
    assert losses(log, validation="train") == [(1, 5.0), (2, 4.0), (4, 3.0)]
    assert "none: no validation loss is logged, so these are training losses" in log.notes


def test_the_run_of_a_checkpoint_is_named_after_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "fast" / "checkpoint-4"
    folder.mkdir(parents=True)
    assert set(read_log(write(folder, STATE, "trainer_state.json")).files) == {"fast"}


def test_old_states_log_the_lr_of_the_next_step(tmp_path: Path) -> None:
    old = {key: value for key, value in STATE.items() if key != "best_global_step"}
    path = write(tmp_path, old, "trainer_state.json")
    log = read_log(path)
    assert lr(log) == pytest.approx([0.001, 0.001, 0.0008, 0.0006])
    assert any("log the lr of the next step" in note for note in log.notes)
    assert lr(read_log(path, lr_logged="used")) == pytest.approx([0.001, 0.0008, 0.0006, 0.0004])
    new = write(tmp_path, STATE, "trainer_state.json")
    assert lr(read_log(new, lr_logged="next")) == lr(log)


# --- W&B --------------------------------------------------------------------------------------------------------


def test_a_wandb_export_with_the_lr_in_a_second_one(tmp_path: Path) -> None:
    paths = [write(tmp_path, WANDB), write(tmp_path, WANDB_LR, "lr.csv")]
    log = read_log(paths, run="brisk-pond-1")
    assert losses(log) == [(100, 3.5), (200, 3.0)]
    assert lr(log)[:2] + lr(log)[-1:] == pytest.approx([1e-3, 1e-3 - 5e-4 / 200, 5e-4 + 5e-4 / 200])
    assert any("W&B itself counts calls of wandb.log" in note for note in log.notes)
    both = read_log(paths[0], schedule="constant 300 at 1e-3")
    assert losses(both, run="calm - sky") == [(150, 3.25), (200, 2.75)]
    assert "calm - sky: 1 values are means over steps (their __MIN and __MAX differ)" in both.notes
    with pytest.raises(UserError, match="'calm - sky' has no logged lr: state the LR with the option schedule"):
        read_log(paths)


def test_a_wandb_export_over_the_trainers_own_step(tmp_path: Path) -> None:
    text = WANDB.replace('"Step"', '"train/global_step"')
    log = read_log(write(tmp_path, text), run="brisk-pond-1", schedule="constant 300 at 1e-3")
    assert not any("wandb.log" in note for note in log.notes)
    own = WANDB_LR.replace('"Step"', '"Step","brisk-pond-1 - train/global_step"').replace('"1"', '"1","10"')
    own = own.replace('"201"', '"201","20"').replace("train/learning_rate", "train/loss")
    trained = read_log(write(tmp_path, own), schedule="constant 300 at 1e-3")
    assert losses(trained, validation="train") == [(10, 1e-3), (20, 5e-4)]
    with pytest.raises(UserError, match=r"no column holds the learning rate \(found: eval/loss, train/global_step\)"):
        read_log(write(tmp_path, text))
    with pytest.raises(UserError, match="no column like '<run> - <metric>'"):
        read_log(write(tmp_path, CSV), format="wandb")


# --- the kit's own table ------------------------------------------------------------------------------------------


def own(tmp_path: Path) -> tuple[Path, Log]:
    """Two runs of two phases, written as the kit does."""
    schedule = "warmup 2 to 1; constant 2; continual: linear 4 to 0"
    text = "run,step,law/loss,code/loss\n" + "".join(
        f"{run},{s},{5 - s / 9},{4 - s / 9}\n" for run in "ab" for s in (2, 6, 8)
    )
    log = read_log(write(tmp_path, text), schedule=schedule, seed=1, model="small", params=9, unit="nats")
    path = tmp_path / "own.parquet"
    curves.write(path, log.curves.assign(bits_per_byte=1.5))
    curves.write_schedules(curves.schedules_path(path), log.schedules)
    return path, log


def test_the_kits_own_table(tmp_path: Path) -> None:
    path, log = own(tmp_path)
    found = read_log(path)
    assert curves.schedules_path(path) == tmp_path / "own.schedules.parquet"
    pd.testing.assert_frame_equal(found.curves, log.curves.assign(bits_per_byte=1.5), check_dtype=False)
    pd.testing.assert_frame_equal(found.schedules, log.schedules, check_dtype=False)
    assert found.notes == []
    one = read_log(path, run="b", validation="law")
    assert one.curves[["run", "validation"]].drop_duplicates().to_numpy().tolist() == [["b", "law"]]
    assert set(one.schedules["run"]) == {"b"}
    for options, words in [
        ({"run": "c"}, "no run 'c', only a, b"),
        ({"validation": "prose"}, "set 'prose', only code, law"),
        ({"unit": "bits"}, "whose losses are nats"),
    ]:
        with pytest.raises(UserError, match=words):
            read_log(path, **options)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="is a whole curve table: read it alone"):
        read_log([tmp_path / "mine.csv", path])


def test_the_kits_own_table_without_its_schedules(tmp_path: Path) -> None:
    path, log = own(tmp_path)
    curves.schedules_path(path).unlink()
    found = read_log(path)
    assert found.notes[0] == f"{path}: no schedules beside it"
    assert found.schedules["phase"].tolist() == log.schedules["phase"].tolist()
    rates = found.schedules[found.schedules["run"] == "a"]["lr"]
    assert rates.tolist() == pytest.approx(np.interp(range(1, 9), [2, 6, 8], [1, 0.5, 0]))
    stated = read_log(path, schedule="warmup 2 to 1; constant 2; continual: linear 4 to 0")
    pd.testing.assert_frame_equal(stated.schedules, log.schedules, check_dtype=False)
    near = read_log(path, schedule="warmup 2 to 1.0005; constant 2; continual: linear 4 to 0")
    assert near.curves["lr"].max() == 1.0005
    with pytest.raises(UserError, match=r"run 'a': the logged lr of step 6 is 0.5, that of the schedule 1"):
        read_log(path, schedule="warmup 2 to 1; constant 6")


# --- several logs ---------------------------------------------------------------------------------------------------


def test_logs_of_different_runs_merge(tmp_path: Path) -> None:
    paths = [write(tmp_path, CSV, "a.csv"), write(tmp_path, CSV.replace("3.25", "3.2"), "b.csv")]
    log = read_logs(paths, model="small")
    assert log.curves.groupby("run").size().to_dict() == {"a": 3, "b": 3}
    assert set(log.curves["model"]) == {"small"}
    curves.check_pair(log.curves, log.schedules)
    assert len(log.notes) == 12
    with pytest.raises(UserError, match=r"a.csv and .*a.csv both hold a run 'a': name one with the option run"):
        read_logs([paths[0], paths[0]])
    for empty in (read_logs, merge_logs, read_log):
        with pytest.raises(UserError, match="no log is named"):
            empty([])


def curve(folder: Path, name: str, losses: list[float], steps: tuple[int, ...] = (2, 4, 6, 8)) -> Path:
    rows = [f"{step},1e-3,{loss}" for step, loss in zip(steps, losses, strict=True)]
    return write(folder, "\n".join(["step,lr,loss", *rows]), name)


def test_nats_beside_bits_are_refused_unless_stated(tmp_path: Path) -> None:
    nats = curve(tmp_path, "nats.csv", [5.0, 4.0, 3.5, 3.2])
    other = [loss * factor for loss, factor in zip([5.0, 4.0, 3.5, 3.2], [1.01, 0.99, 1, 1.02], strict=True)]
    bits = curve(tmp_path, "bits.csv", [loss / math.log(2) for loss in other])
    for pair in ([nats, bits], [bits, nats]):
        with pytest.raises(UserError, match=r"look like nats and bits on eval .*give unit bits for .*bits.csv"):
            read_logs(pair)
    right = read_logs([nats, bits], unit={bits: "bits"})
    assert [loss for _, loss in losses(right, run="bits")] == pytest.approx(other)
    assert len(read_logs([nats, bits], unit="nats").curves) == 8  # stated, so believed
    with pytest.raises(UserError, match="look like nats and bits"):
        read_logs([nats, bits], unit={str(nats): "nats"})
    with pytest.raises(UserError, match=r"unit is given for none.csv, which is not among the logs"):
        read_logs([nats, bits], unit={"none.csv": "bits"})


@pytest.mark.parametrize(
    ("losses", "steps", "options"),
    [
        ([7.2, 5.8, 5.0, 3.2], (2, 4, 6, 8), {}),  # alike at the end
        ([5.0, 5.8, 5.0, 4.6], (2, 4, 6, 8), {}),  # as from one start
        ([7.5, 6.0, 5.3, 4.8], (2, 4, 6, 8), {}),  # a factor of 1.5 is another model
        ([7.2, 5.8, 5.0, 4.6], (2, 20, 30, 40), {}),  # hardly any step in common
        ([7.2, 5.8, 5.0, 4.6], (2, 4, 6, 8), {"model": "other"}),
        ([7.2, 5.8, 5.0, 4.6], (2, 4, 6, 8), {"params": 5}),
        ([7.2, 5.8, 5.0, 4.6], (2, 4, 6, 8), {"validation": "law"}),
    ],
)
def test_other_differences_are_no_mix_up(tmp_path: Path, losses: list[float], steps: Any, options: Any) -> None:
    first = read_log(curve(tmp_path, "first.csv", [5.0, 4.0, 3.5, 3.2]))
    second = read_log(curve(tmp_path, "second.csv", losses, steps), **options)
    assert len(merge_logs([first, second]).curves) == 8


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "mine.csv is empty"),
        ("\n \n", "mine.csv is empty"),
        ("step,lr,loss\n", "needs a header and at least one row"),
        ("step,lr,loss\n1,,\n2,,\n", "no row has a loss"),
        (CSV.replace("3.25", "0"), "line 3: loss at step 4 is '0': it must be finite and positive"),
        (CSV.replace("3.25", "-3.25"), "line 3: loss at step 4 is '-3.25'"),
        (CSV.replace("3.25", "nan"), "line 3: loss at step 4 is 'nan'"),
        (CSV.replace("3.25", "NaN"), "line 3: loss at step 4 is 'NaN'"),
        (CSV.replace("3.25", "inf"), "line 3: loss at step 4 is 'inf'"),
        (CSV.replace("3.25", "low"), "line 3: loss at step 4 is 'low'"),
        (CSV.replace("8e-4", "-8e-4"), "line 3: lr at step 4 is '-8e-4': it must be a finite number, not negative"),
        (CSV.replace("8e-4", "nan"), "line 3: lr at step 4 is 'nan'"),
        (CSV.replace("4,", "8,", 1), "line 4: step 6 of eval after step 8: sort the rows"),
        (CSV.replace("4,", "2,", 1).replace("8e-4", "1e-3"), "line 3: a second loss of eval at step 2"),
        (CSV.replace("6,4e-4,", "4,4e-4,"), "line 4: a second loss of eval at step 4"),
        (CSV.replace("4,8e-4,3.25", "4,8e-4,3.25\n4,9e-4,"), "line 4: the lr of step 4 is 0.0009 and 0.0008"),
        (CSV.replace("4,", "4.5,", 1), "line 3: the step is '4.5': it must be a whole number"),
        (CSV.replace("4,", "-4,", 1), "line 3: the step is '-4'"),
        (CSV.replace("4,", ",", 1), "line 3: the step is missing"),
        (CSV.replace("4,", "4,1,", 1), "line 3 has 4 cells, the header 3"),
        (CSV.replace("4,8e-4,3.25", "4"), "line 3 has 1 cells, the header 3"),
        (CSV.replace("step", "epoch"), "no column holds the steps (found: epoch, lr, loss): name it"),
        (CSV.replace("lr", "rate"), "no column holds the learning rate (found: step, rate, loss)"),
        (CSV.replace("loss", "ppl"), "no column holds a loss (found: step, lr, ppl): name it with the option columns"),
        (CSV.replace("lr", "loss"), "has two columns 'loss'"),
        ("step,lr,val_loss,eval_loss\n1,1,1,1\n", "columns 'val_loss' and 'eval_loss' both look like one loss"),
        ("step,lr,loss,validation\n1,1,1,\n", "line 2: a loss without a name in column 'validation'"),
        ("step,lr,loss,tokens\n1,1,1,-5\n", "line 2: tokens at step 1 is '-5'"),
        ('step,lr,loss\n1,1,"1\n', "mine.csv is not a CSV"),
        ("step,lr,loss\n0,1,1\n", "run 'mine' has no loss after step 0"),
        ("plain words\nin lines\n", "mine.csv: no column holds a loss (found: plain words)"),
    ],
)  # fmt: skip
def test_faulty_text_is_explained(tmp_path: Path, text: str, words: str) -> None:
    assert_explained(write(tmp_path, text), words)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("state.json", b"{", "state.json is not valid JSON"),
        ("state.json", b"{}", "has no log_history"),
        ("state.json", b"[1, 2]", "has no log_history"),
        ("state.json", b'{"log_history": []}', "is empty"),
        ("state.json", b'{"log_history": [{"loss": 1.0, "learning_rate": 1}]}', "no column holds the steps"),
        ("s.json", b'{"log_history": [{"eval_loss": NaN, "step": 1, "lr": 1}]}', "[0]: eval_loss at step 1 is nan"),
        ("s.json", b'{"log_history": [{"eval_loss": 1, "step": true, "lr": 1}]}', "log_history[0]: the step is True"),
        ("s.json", b'{"log_history": [{"eval_loss": [1], "step": 1, "lr": 1}]}', "[0]: eval_loss at step 1 is [1]"),
        ("curves.parquet", b"PAR1 and then nothing", "curves.parquet is not a readable parquet file"),
        ("curves.parquet", b"step,lr,loss", "curves.parquet is not a readable parquet file"),
        ("mine.csv", b"\x89PNG\r\n\x1a\n\x00\xff", "mine.csv is not a CSV"),
        ("notes.txt", b"loss went down", "notes.txt is in no known format"),
    ],
)  # fmt: skip
def test_faulty_files_are_explained(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert_explained(path, words)


def test_missing_files_foreign_tables_and_wrong_options_are_explained(tmp_path: Path) -> None:
    assert_explained(tmp_path / "none.csv", "none.csv does not exist")
    assert_explained(tmp_path, "is a folder")
    foreign = tmp_path / "foreign.parquet"
    pd.DataFrame({"step": [1]}).to_parquet(foreign)
    assert_explained(foreign, "foreign.parquet holds schema 'none'")
    for option in ("format", "unit", "lr_logged", "first_step"):
        with pytest.raises(UserError, match=f"{option} is 'odd': choose"):
            read_log(write(tmp_path, CSV), **{option: "odd"})  # type: ignore[arg-type]


def assert_explained(path: Path, words: str) -> None:
    with pytest.raises(UserError) as caught:
        read_log(path)
    message = str(caught.value)
    assert words in message
    assert path.name in message
    assert "\n" not in message


# --- published curves -----------------------------------------------------------------------------------------------


def test_a_published_curve() -> None:
    """A cosine run of the curves published with the multi-power law: its lr is the published formula's."""
    folder = os.environ.get("CPT_DYNAMICS_PUBLIC_CURVES")
    if not folder:
        pytest.skip("CPT_DYNAMICS_PUBLIC_CURVES does not name a folder with multipowerlaw/csv_25/cosine_24000.csv")
    path = Path(folder) / "multipowerlaw" / "csv_25" / "cosine_24000.csv"
    rows = pd.read_csv(path)
    # Steps count from 0 there: warm-up np.linspace(0, 3e-4, 2160), then a cosine from 3e-4 at 2160 to 3e-5 at 24000.
    formula = "delayed; warmup 2159 to 3e-4; constant 1; cosine 21840 to 3e-5"
    log = read_log(path, first_step=0, schedule=formula, validation="validation", unit="nats")
    assert f"agrees with the lr logged at {len(rows)} steps" in " ".join(log.notes)
    assert log.curves["loss"].tolist() == rows["loss"].tolist()
    assert log.curves["step"].tolist() == (rows["step"] + 1).tolist()
    assert np.allclose(log.curves["lr"], rows["lr"], rtol=1e-12, atol=0)
    # The lr interpolated between the logged steps, 128 apart, is close to it.
    interpolated = read_log(path, first_step=0, pretraining_steps="all").schedules["lr"].to_numpy()
    logged = slice(rows["step"].min(), len(interpolated))
    assert np.allclose(interpolated[logged], log.schedules["lr"][logged], rtol=1e-3, atol=0)
    with pytest.raises(UserError, match=r"line \d+: the logged lr of step \d+ is 0.000298538, that of the schedule"):
        read_log(path, first_step=0, schedule=formula.replace("constant 1", "constant 129"))
