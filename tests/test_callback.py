"""The callback in real trainings of Hugging Face Trainer on a tiny model."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from transformers import TrainerCallback

from cpt_dynamics import curves, logs
from cpt_dynamics.errors import UserError
from cpt_dynamics.logs import expressions
from cpt_dynamics.logs.callback import CurveTableCallback

STEPS, WARMUP, PEAK = 20, 4, 1e-2
SEQUENCES, LENGTH, VOCABULARY, WIDTH = 4, 8, 64, 16


class Stop(TrainerCallback):
    """Ends the process at a step, as a lost machine would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def sequences(seed: int, count: int) -> list[dict[str, Any]]:
    ids = torch.from_numpy(np.random.default_rng(seed).integers(0, VOCABULARY, (count, LENGTH)))
    return [{"input_ids": row, "labels": row} for row in ids]


def trainer(folder: Path, *callbacks: Any, validation: Any = None, **options: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=LENGTH,
        tie_word_embeddings=True,
    )
    settings = {
        "max_steps": STEPS,
        "per_device_train_batch_size": SEQUENCES,
        "learning_rate": PEAK,
        "lr_scheduler_type": "cosine",
        "warmup_steps": WARMUP,
        "eval_strategy": "steps",
        "eval_steps": 5,
        "save_steps": 10,
        "logging_steps": 1,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "include_num_input_tokens_seen": True,
        **options,
    }
    return transformers.Trainer(
        model=transformers.LlamaForCausalLM(config),
        args=transformers.TrainingArguments(output_dir=str(folder), **settings),
        train_dataset=sequences(0, 200),
        eval_dataset=validation or {"general": sequences(1, 8), "my-domain": sequences(2, 8)},
        callbacks=list(callbacks),
    )


def transformers_cosine(step: int) -> float:
    """LR of step 1, 2 ... as transformers' `get_cosine_schedule_with_warmup` defines it for step - 1."""
    done = step - 1
    if done < WARMUP:
        return PEAK * done / WARMUP
    return PEAK * (1 + math.cos(math.pi * (done - WARMUP) / (STEPS - WARMUP))) / 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder with checkpoints and a table, and the Trainer that wrote them."""
    folder = tmp_path_factory.mktemp("callback") / "pretrained"
    found = trainer(folder, CurveTableCallback(folder / "table.parquet", run="pt", seed=7, model="tiny"))
    found.train()
    return folder, found


def read(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    schedules = curves.read_schedules(curves.schedules_path(path))
    return curves.read(path, schedules), schedules


def assert_same(one: Path, other: Path) -> None:
    for left, right in zip(read(one), read(other), strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_lr_and_losses_are_those_of_the_training(trained: tuple[Path, Any]) -> None:
    folder, found = trained
    table, schedules = read(folder / "table.parquet")
    assert schedules["lr"].tolist() == pytest.approx([transformers_cosine(step) for step in range(1, STEPS + 1)])
    stated = expressions.parse(f"delayed; warmup {WARMUP} to {PEAK}; cosine {STEPS - WARMUP} to 0")
    pd.testing.assert_frame_equal(schedules, stated.table("pt"), check_dtype=False)

    logged = {
        (entry["step"], name): entry[f"eval_{name}_loss"]
        for entry in found.state.log_history
        for name in ("general", "my-domain")
        if f"eval_{name}_loss" in entry
    }
    assert len(logged) == 8
    assert dict(zip(zip(table["step"], table["validation"], strict=True), table["loss"], strict=True)) == logged
    assert set(table["phase"]) == {"pretraining"}
    assert (table["tokens"] == table["step"] * SEQUENCES * LENGTH).all()
    assert table[["seed", "model"]].drop_duplicates().to_numpy().tolist() == [[7, "tiny"]]
    layer = 4 * WIDTH**2 + 3 * WIDTH * 32 + 2 * WIDTH
    assert set(table["params"]) == {2 * layer + WIDTH}


def test_the_saved_state_reads_as_the_same_table(trained: tuple[Path, Any]) -> None:
    folder, _ = trained
    table, schedules = read(folder / "table.parquet")
    log = logs.read_log(
        folder / f"checkpoint-{STEPS}" / "trainer_state.json",
        pretraining_steps="all",
        unit="nats",
        seed=7,
        model="tiny",
        params=int(table["params"].iloc[0]),
    )
    assert log.notes == ["pretrained: training losses are left out"]
    assert log.files.keys() == {"pretrained"}  # the folder's name
    pd.testing.assert_frame_equal(log.curves.assign(run="pt"), table, check_dtype=False)
    pd.testing.assert_frame_equal(log.schedules.assign(run="pt"), schedules, check_dtype=False)


def test_the_lr_of_a_state_with_sparse_logs(trained: tuple[Path, Any], tmp_path: Path) -> None:
    """What Trainer logs is the LR that the step used; with the schedule stated, the logged values confirm it."""
    state = json.loads((trained[0] / f"checkpoint-{STEPS}" / "trainer_state.json").read_text())
    state["log_history"] = [e for e in state["log_history"] if "learning_rate" not in e or e["step"] % 3 == 0]
    path = tmp_path / "state.json"
    path.write_text(json.dumps(state))
    schedule = f"delayed; warmup {WARMUP} to {PEAK}; cosine {STEPS - WARMUP} to 0"
    assert "agrees with the lr logged at 6 steps" in " ".join(logs.read_log(path, schedule=schedule).notes)
    with pytest.raises(UserError, match=r"step 3 is 0\.005, that of the schedule 0\.0075"):
        logs.read_log(path, schedule=schedule.removeprefix("delayed; "))


def test_a_resumed_training_writes_the_same_table(trained: tuple[Path, Any], tmp_path: Path) -> None:
    folder, path = tmp_path / "again", tmp_path / "again.parquet"

    def callback(at: Path) -> CurveTableCallback:
        return CurveTableCallback(at, run="pt", seed=7, model="tiny")

    with pytest.raises(KeyboardInterrupt):
        trainer(folder, callback(path), Stop(16)).train()
    written = read(path)[0]
    assert written["step"].max() == 15
    # What was measured after the checkpoint is measured again.
    curves.write(path, written.assign(loss=written["loss"].where(written["step"] <= 10, 99.0)))
    trainer(folder, callback(path)).train(resume_from_checkpoint=str(folder / "checkpoint-10"))
    assert_same(path, trained[0] / "table.parquet")

    with pytest.raises(UserError, match="has 0 steps, but training resumes after step 10"):
        trainer(folder, callback(tmp_path / "lost.parquet")).train(resume_from_checkpoint=str(folder / "checkpoint-10"))
    with pytest.raises(UserError, match="holds other runs than 'another'"):
        trainer(folder, CurveTableCallback(path, run="another")).train()


def test_a_continual_phase_continues_the_table_of_pretraining(trained: tuple[Path, Any], tmp_path: Path) -> None:
    before, path = trained[0] / "table.parquet", tmp_path / "continued.parquet"
    callback = CurveTableCallback(
        path, run="cpt", model="tiny", phase="continual", pretraining=before, pretraining_steps=15
    )
    options = {"lr_scheduler_type": "constant", "warmup_steps": 0, "max_steps": 6, "save_strategy": "no"}
    domain = {"general": sequences(1, 8), "new": sequences(3, 8)}
    found = trainer(tmp_path / "cpt", callback, validation=domain, eval_on_start=True, eval_steps=3, **options)
    found.train()
    table, schedules = read(path)
    earlier, plan = read(before)
    assert schedules["lr"].tolist() == [*plan["lr"][:15], *[PEAK] * 6]
    assert schedules["phase"].tolist() == ["pretraining"] * 15 + ["continual"] * 6
    general = table[table["validation"] == "general"]
    assert general["step"].tolist() == [5, 10, 15, 18, 21]
    assert general["phase_step"].tolist() == [5, 10, 15, 3, 6]
    assert general["tokens"].tolist() == [32.0 * step for step in general["step"]]
    kept = earlier[(earlier["validation"] == "general") & (earlier["step"] <= 15)]
    assert general["loss"].tolist()[:3] == kept["loss"].tolist()
    # measured before the first step of this phase, which is after the last of the former
    assert table.loc[table["validation"] == "new", "step"].tolist() == [15, 18, 21]
    areas = curves.features(table, schedules, 0.9)
    assert areas.loc[areas["step"] == 21, "s1cpt"].tolist() == pytest.approx([6 * PEAK] * 2)


def test_one_unnamed_set_is_called_eval_and_a_loss_of_nan_is_left_out(tmp_path: Path) -> None:
    class Break(TrainerCallback):
        def on_evaluate(self, args: Any, state: Any, control: Any, **known: Any) -> None:
            if state.global_step > 4:
                known["metrics"]["eval_loss"] = math.nan

    path = tmp_path / "one.parquet"
    options = {"max_steps": 6, "eval_steps": 2, "save_strategy": "no", "gradient_accumulation_steps": 2}
    writer = CurveTableCallback(path, params=3)
    uncounted = {"include_num_input_tokens_seen": "no"}
    trainer(tmp_path / "one", Break(), writer, validation=sequences(1, 8), **options, **uncounted).train()
    table, schedules = read(path)
    assert table["step"].tolist() == [2, 4]
    assert table[["run", "validation", "params", "tokens"]].drop_duplicates().to_numpy().tolist() == [
        ["one", "eval", 3, 0]
    ]
    assert len(schedules) == 6


def test_wrong_options_are_explained(trained: tuple[Path, Any], tmp_path: Path) -> None:
    before = trained[0] / "table.parquet"
    with pytest.raises(UserError, match="choose one of pretraining, continual"):
        CurveTableCallback(tmp_path / "x.parquet", phase="cpt")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="only be continued by the phase continual"):
        CurveTableCallback(tmp_path / "x.parquet", pretraining=before)
    with pytest.raises(UserError, match="in another file"):
        CurveTableCallback(before, phase="continual", pretraining=before)
    with pytest.raises(UserError, match="one run, with 21 steps of pretraining"):
        CurveTableCallback(tmp_path / "x.parquet", phase="continual", pretraining=before, pretraining_steps=21)
