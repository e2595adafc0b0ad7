"""The scale `paper`: what Table 1 prints, text enough for what its runs read, and a plan without training."""

import json
import re
from pathlib import Path

import pytest
from worlds import REPOSITORY
from worlds.workflow import copy_parts, jobs, snakemake

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config, HuggingFace, Model
from cpt_dynamics.experiments import Experiments, estimates
from cpt_dynamics.figures.fig18.analyse import validations
from cpt_dynamics.report import macros, tables
from cpt_dynamics.report.material import Material

FILE = "config/scales/paper.yaml"
SIZES = {"small": 106e6, "medium": 594e6, "large": 1720e6}  # Table 1, without embeddings
EPOCHS = 3  # of a corpus in one run, at most
STEP = 1024 * 4096  # tokens


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> tuple[Config, Experiments]:
    monkeypatch.chdir(REPOSITORY)
    config = configuration.load([FILE])
    return config, experiments.load(config)


def test_settings_are_those_of_table_1(paper: tuple[Config, Experiments]) -> None:
    config, _ = paper
    optimizer, batch, lengths = config.optimizer, config.batch, config.lengths
    assert batch.sequences * batch.length == STEP == pytest.approx(4e6, rel=0.05)
    assert batch.length == 4096
    assert (optimizer.beta1, optimizer.beta2, optimizer.weight_decay, optimizer.clip) == (0.9, 0.95, 0.1, 1.0)
    assert optimizer.peak_lr == 2e-4
    total = lengths.pretraining + lengths.continual
    assert 10_000 <= lengths.continual <= lengths.pretraining <= total == 60_000
    assert config.law.lambda_ == 0.999 == 1 - 60 / total
    assert (config.roles.general, config.roles.strong, config.roles.weak) == (
        "fineweb",
        "knowledge_pile",
        "pile_of_law",
    )
    assert len(config.roles.out_of_domain) == 8
    default = configuration.load([])
    assert list(config.models)[:3] == list(default.models)
    assert batch.sequences % config.device.processes == 0
    assert not set(default.corpora) & set(config.corpora)


@pytest.mark.parametrize("name", SIZES)
def test_models_have_the_printed_sizes(paper: tuple[Config, Experiments], name: str) -> None:
    torch = pytest.importorskip("torch")
    from transformers import LlamaConfig, LlamaForCausalLM

    config, _ = paper
    size, spec = estimates.size_of(name, config), config.models[name]
    assert isinstance(spec, Model)
    assert size.parameters == pytest.approx(SIZES[name], rel=0.01)
    shape = LlamaConfig(
        vocab_size=config.tokenizer.vocabulary,
        hidden_size=spec.width,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        intermediate_size=spec.feedforward,
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(shape)
    assert size.all_parameters == sum(parameter.numel() for parameter in model.parameters())
    assert size.parameters == size.all_parameters - model.model.embed_tokens.weight.numel()


def test_text_is_enough_for_every_run(paper: tuple[Config, Experiments]) -> None:
    config, found = paper
    for use in estimates.corpora(found.runs.values(), config):
        assert use.text_bytes is not None
        assert use.epochs is not None
        assert use.epochs <= EPOCHS
        # Nothing that was fetched is cut off, and there is text for the whole of an evaluation.
        spec = config.corpora[use.name]
        assert isinstance(spec, HuggingFace)
        assert spec.maximum_megabytes is not None
        assert use.text_bytes == spec.maximum_megabytes * 1e6
        held_out = 1 if config.validation_only(use.name) else config.split.validation_share
        assert held_out * use.text_bytes / estimates.BYTES_PER_TOKEN > config.evaluation.tokens
    assert config.evaluation.tokens == config.evaluation.out_of_domain_tokens == STEP


def test_what_could_not_be_looked_up_is_said(paper: tuple[Config, Experiments]) -> None:
    config, _ = paper
    text = Path(FILE).read_text(encoding="utf-8")
    assert text.count("    revision: ") == len(config.corpora)
    assert "corpora pin\n# config/scales/paper.yaml" in text
    unlicensed = [n for n, c in config.corpora.items() if isinstance(c, HuggingFace) and c.licence is None]
    assert unlicensed == ["slimpajama"]  # what its card states


def test_the_open_model_has_its_own_runs(paper: tuple[Config, Experiments]) -> None:
    config, found = paper
    runs = [found.runs[name] for name in found.runs_of("fig18")]
    assert {run.model for run in runs} == {"open"}
    for run in runs:
        assert [phase.phase for phase in run.phases] == ["continual"]
        assert run.lr.max() == pytest.approx(2e-5)
    assert validations(config, runs) == {"proxy": "c4", "strong": "pile_of_law"}
    assert estimates.size_of("open", config).parameters == 1_235_814_400 - 128_256 * 2048
    default = configuration.load([])
    known = experiments.load(default)
    own = validations(default, [known.runs[name] for name in known.runs_of("fig18")])
    assert own == {"proxy": "science", "strong": "code", "general": "handbook"}


def test_the_report_names_a_pretrained_model(paper: tuple[Config, Experiments]) -> None:
    material = Material(paper[0])
    rows = {row[0].text: row[2].text for row in tables.table1(material).rows}
    assert rows["Non-embedding parameters"] == "106,192,128, 594,608,640, 1,720,330,240, 973,146,112"
    assert rows["Model"].startswith("LLaMA-like: layers 15, width 768, heads 12; ")
    assert rows["Model"].endswith("; meta-llama/Llama-3.2-1B")
    assert "1,720,330,240" in macros.sizes(material).replace(r"\,", ",")


def test_plan_says_what_it_costs(paper: tuple[Config, Experiments], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--configfile", FILE, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    trunk = found["list"][0]
    assert trunk["branch"].startswith("pt_constant-")
    assert trunk["estimate"]["tokens"] == 40_000 * 1024 * 4096
    assert trunk["estimate"]["checkpoints"] == 40
    # 6 for each of the 106M parameters and of the 98M of the output layer, and attention over 4,096 tokens
    forward_and_back = 6 * (106_192_128 + 128_256 * 768) + 12 * 15 * 768 * 4096
    assert trunk["estimate"]["flops"] == pytest.approx(forward_and_back * 40_000 * STEP, rel=0.02)
    assert main(["plan", "--configfile", FILE]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 120


def test_a_dry_run_plans_every_figure(tmp_path: Path) -> None:
    copy_parts(tmp_path)
    planned = snakemake(tmp_path, "-n", "--configfile", FILE)
    assert planned.returncode == 0, planned.stderr[-2000:]
    said = planned.stdout + planned.stderr
    assert len(re.findall(r"training [\w.]+-\w{10}: .* tokens, .* FLOPs, .* hours, \d+ checkpoints", said)) == 93
    counts = jobs(planned)
    assert counts["train"] == 93
    assert counts["documents"] == counts["split"] == counts["tokens"] == 11
