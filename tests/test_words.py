"""What users write: names, numbers, YAML and the command line. Each mistake is one line that says where it is."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from worlds import REPOSITORY
from worlds.commands import refused
from worlds.tiny import EXPERIMENTS, TINY
from worlds.workflow import copy, snakemake

from cpt_dynamics import claims, cli, config, errors, experiments, figures, files, interrupt
from cpt_dynamics.cli import main
from cpt_dynamics.errors import UserError

NO_NAME = "is no name: give one of a-z, 0-9 and _ that begins with a letter, of at most 80 characters"
TRUNK = EXPERIMENTS["runs"]["trunk"]["phases"][0]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a configuration and no texts, as the working folder."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))
    (tmp_path / "config/experiments.yaml").write_text(yaml.safe_dump(EXPERIMENTS, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- numbers --------------------------------------------------------------------------------------------------------

NUMBERS = {
    "optimizer: {peak_lr: true}": "optimizer.peak_lr: Input should be a valid number",
    "optimizer: {peak_lr: .nan}": "optimizer.peak_lr: Input should be a finite number",
    "optimizer: {peak_lr: .inf}": "optimizer.peak_lr: Input should be a finite number",
    "optimizer: {peak_lr: '0.001'}": "optimizer.peak_lr is the text '0.001': give a number",
    "optimizer: {peak_lr: '0.1'}": "optimizer.peak_lr is the text '0.1': give a number",
    "optimizer: {epsilon: .inf}": "optimizer.epsilon: Input should be a finite number",
    "optimizer: {clip: 1.0e+300}": "optimizer.clip: Input should be less than or equal to",
    "batch: {rope_base: .inf}": "batch.rope_base: Input should be a finite number",
    "batch: {sequences: true}": "batch.sequences: Input should be a valid integer",
    "batch: {length: 1000000000000}": "batch.length: Input should be less than or equal to",
    "lengths: {pretraining: 1000000000000}": "lengths.pretraining: Input should be less than or equal to 10000000",
    "lengths: {pretraining: 24.5}": "lengths.pretraining: Input should be a valid integer",
    "tokenizer: {vocabulary: 100000000000000000000}": "tokenizer.vocabulary: Input should be less than or equal to",
    "tokenizer: {shares: {general: .nan}}": "tokenizer.shares.general: Input should be a finite number",
    "tokenizer: {shares: {general: -1}}": "tokenizer.shares.general: Input should be greater than or equal to 0",
    "tokenizer: {shares: {general: yes}}": "tokenizer.shares.general: Input should be a valid number",
    "estimates: {memory_gigabytes: .inf}": "estimates.memory_gigabytes: Input should be a finite number",
    "estimates: {start_minutes: .nan}": "estimates.start_minutes: Input should be a finite number",
    "estimates: {teraflops: 1.0e-300}": "estimates.teraflops: Input should be greater than or equal to",
    "seed: 1180591620717411303424": "seed: Input should be less than or equal to",
    "seed: true": "seed: Input should be a valid integer",
    "device: {threads: 100000000000}": "device.threads: Input should be less than or equal to 4096",
    "device: {processes: 100000}": "device.processes: Input should be less than or equal to 4096",
    "models: {small: {width: 16000000000}}": "models.small.width: Input should be less than or equal to",
    "split: {maximum_megabytes: .inf}": "split.maximum_megabytes: Input should be a finite number",
    "law: {carry_over: 1}": "law.carry_over: Input should be a valid boolean",
}


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_of_the_configuration_is_finite_and_bounded(world: Path, capsys: Any, text: str) -> None:
    (world / "over.yaml").write_text(text)
    assert f"over.yaml: {NUMBERS[text]}" in refused(["plan", "--configfile", "over.yaml"], capsys)


PHASES = {
    "steps: 1/0 * total": "phases[0]: steps '1/0 * total': give a number or a multiple",
    f"steps: {'9' * 4000} * total": "give a number or a multiple",
    f"steps: {'9' * 4000}": "give a number or a multiple",
    "steps: 999999999": "steps 999999999 are 999,999,999: give at most 10,000,000 a phase",
    "steps: 1000000 * total": "steps '1000000 * total' are 36,000,000: give at most 10,000,000 a phase",
    "steps: true": "steps",
    "steps: ٤": "steps '٤': give a number or a multiple",
    "batch_factor: .inf": "batch_factor: Input should be a finite number",
    "length_factor: 1.0e+30": "length_factor: Input should be less than or equal to",
    "length_factor: 1000000": "batch_factor and length_factor: ",
    "data: {general: true}": "data.general: Input should be a valid number",
    "data: {general: .nan}": "data.general: Input should be a finite number",
    "schedule: {peak: .nan}": "schedule.peak",
    "schedule: {peak: 1.0e+300}": "peak must be positive and at most 1e6, or `last`",
    "schedule: {end: true}": "schedule.end: Input should be a valid number",
}


@pytest.mark.parametrize("text", PHASES)
def test_a_number_of_a_phase_is_finite_and_bounded(world: Path, capsys: Any, text: str) -> None:
    length = {"batch": {"length": 1000}} if "length_factor: 1000000" in text else {}
    stated = {"runs": {"odd": {"phases": [{**TRUNK, **yaml.safe_load(text)}]}}, "figures": {}}
    (world / "config/experiments.yaml").write_text(yaml.safe_dump(stated))
    (world / "over.yaml").write_text(yaml.safe_dump({"seed": 1, **length}))
    line = refused(["plan", "--configfile", "over.yaml"], capsys)
    assert line.startswith("error: config/experiments.yaml: runs.odd.phases")
    assert PHASES[text] in line


def test_runs_are_as_many_as_can_be_planned(world: Path, capsys: Any) -> None:
    stated = {"runs": {"many": {"phases": [TRUNK], "seeds": 1_000_000}}, "figures": {}}
    (world / "config/experiments.yaml").write_text(yaml.safe_dump(stated))
    assert "runs.many.seeds: Input should be less than or equal to 1000" in refused(["plan"], capsys)
    stated = {"runs": {f"r{i}": {"phases": [TRUNK], "seeds": 1000} for i in range(11)}, "figures": {}}
    (world / "config/experiments.yaml").write_text(yaml.safe_dump(stated))
    assert "runs.r9: with it there are 10,001 runs of 240,024 steps" in refused(["plan"], capsys)
    long = {"phases": [{**TRUNK, "steps": 9_000_000}], "seeds": 1000}
    (world / "config/experiments.yaml").write_text(yaml.safe_dump({"runs": {"long": long}, "figures": {}}))
    assert "runs.long: with it there are 23 runs of 207,000,000 steps" in refused(["plan"], capsys)


def test_whole_numbers_stay_good_for_others_and_large_ones_are_taken(world: Path) -> None:
    (world / "over.yaml").write_text("optimizer: {peak_lr: 1, clip: 2}\nseed: 1000000000000000000\n")
    found = config.load(["over.yaml"])
    assert (found.optimizer.peak_lr, found.seed) == (1.0, 10**18)
    assert main(["plan", "--configfile", "over.yaml"]) == 0


# --- names ----------------------------------------------------------------------------------------------------------

BAD_NAMES = ["a`touch x`", "../../x", "a/b", "a b", "", "-x", "a\n", "a\x1b[31m", "a|b", "a{b}", "a.*", "A", "é", "1a"]
BAD_NAMES += ["x" * 81, "x" * 300, "a\x00"]
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "scale": lambda name: {"scale": name},
    "corpora": lambda name: {"corpora": {name: {"source": "rule"}}},
    "models": lambda name: {"models": {name: TINY["models"]["small"]}},
    "roles.general": lambda name: {"roles": {"general": name}},
}


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name)[:20])
@pytest.mark.parametrize("place", [*PLACES, "runs", "figures"])
def test_a_name_has_letters_digits_and_underscores(world: Path, capsys: Any, place: str, name: str) -> None:
    run, figure = EXPERIMENTS["runs"]["trunk"], {"title": "x", "runs": ["trunk"]}
    more = {"runs": {"runs": {name: run}}, "figures": {"figures": {name: figure}}}
    over = PLACES[place](name) if place in PLACES else {}
    (world / "over.yaml").write_text(yaml.safe_dump({"seed": 1, **over}))
    (world / "config/experiments.yaml").write_text(yaml.safe_dump(config.merge(EXPERIMENTS, more.get(place, {}))))
    line = refused(["plan", "--configfile", "over.yaml"], capsys)
    assert f": {place}" in line
    assert NO_NAME in line
    assert line.strip().isprintable()


def test_names_as_long_as_they_may_be_are_taken_and_their_files_can_be_written(world: Path) -> None:
    long = "x" * 80
    (world / "over.yaml").write_text(yaml.safe_dump({"models": {long: TINY["models"]["small"]}}))
    run = {"phases": [TRUNK], "models": [long], "seeds": 1000}
    (world / "config/experiments.yaml").write_text(yaml.safe_dump({"runs": {long: run}, "figures": {}}))
    settings = config.load(["over.yaml"])
    (*_, branch) = experiments.plan(experiments.load(settings).runs.values(), settings).branches
    assert branch.startswith(f"{long}.{long}.seed1000-")
    files.write_json(world / f"{branch}.schedules.parquet", {})


@pytest.mark.parametrize("name", ["seed2", "schedules"])
def test_a_model_does_not_take_the_name_of_a_seed(world: Path, capsys: Any, name: str) -> None:
    (world / "over.yaml").write_text(yaml.safe_dump({"models": {name: TINY["models"]["small"]}}))
    assert f"models.{name}: this name is taken" in refused(["plan", "--configfile", "over.yaml"], capsys)


COMMANDS = {
    "documents ../x": "'../x'",
    "split ../x": "'../x'",
    "tokens ../x": "'../x'",
    "train --branch ../x": "there is no branch '../x'",
    "train --plan --figure ../x": "no figure '../x'",
    "curves ../x": "'../x'",
    "analyse ../x": "'../x'",
    "plot ../x": "'../x'",
    "report --table ../x": "'../x'",
    "plan --figure ../x": "no figure '../x'",
    "export ../x out": "'../x'",
    "trial-runs --knob ../x": None,
}


@pytest.mark.parametrize("words", COMMANDS)
def test_a_name_that_is_not_in_the_configuration_is_no_path(world: Path, capsys: Any, words: str) -> None:
    before = {*world.parent.iterdir(), *world.rglob("*")}
    if COMMANDS[words] is None:  # argparse says the choices
        with pytest.raises(SystemExit):
            main(words.split())
    else:
        assert str(COMMANDS[words]) in refused(words.split(), capsys)
    assert {*world.parent.iterdir(), *world.rglob("*")} == before


def test_a_figure_of_ones_own_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    figures._packages.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr("importlib.metadata.entry_points", lambda group: [EntryPoint("../x", "mine", group)])
        with pytest.raises(UserError, match=r"entry point '\.\./x' .* is no name"):
            figures.names()
    assert "fig01" in figures.names()


# --- YAML -----------------------------------------------------------------------------------------------------------

ALIASES = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 9)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{one}: &{one} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML = {
    "seed: 1\nscale: 2001-99-99": "month must be in 1..12 at line 2, column 8",
    'seed: !!int "abc"': "invalid literal for int() with base 10: 'abc' at line 1",
    'seed: !!float "abc"': "could not convert string to float: 'abc' at line 1",
    'seed: !!timestamp "abc"': "at line 1",
    "seed: 0b_": "at line 1",
    "seed: " + 5000 * "9": "at line 1",
    "seed: " + 100_000 * "[": "nested more than 50 levels deep at line 1",
    100_000 * "- ": "nested more than 50 levels deep at line 1",
    100_000 * "? ": "nested more than 50 levels deep at line 1",
    "seed:\n" + 100 * " [\n" + 100 * " ]\n": "nested more than 50 levels deep at line 51",
    ALIASES: "more than 1,000,000 values, with aliases written out at line 7",
    MERGES: "more than 1,000,000 values, with aliases written out at line 7",
    "a: &a [*a]": "*a stands within itself at line 1",
    "a: &a {<<: *a}": "*a stands within itself at line 1",
    "seed: *a": "found undefined alias at line 1",
    "seed: 1\nscale: x\nseed: 2": "key 'seed' is there twice at line 3",
    "corpora:\n  prose:\n    source: rule\n    source: rule": "key 'source' is there twice at line 4",
    "? [1]\n: 2": "found unhashable key at line 1",
    "a: {<<: 3}": "expected a mapping or list of mappings for merging, but found scalar at line 1",
    "x: !!set 3": "expected a mapping node, but found scalar at line 1",
    "a: !!python/object/apply:os.system [x]": "at line 1",
    "seed: \x00": "control characters are not allowed",
    "seed: {": "did not find expected node content at line",
    "seed: 1\n---\nseed: 2": "found another document at line 2",
}


@pytest.mark.parametrize("text", YAML, ids=lambda text: ascii(text[:30]))
@pytest.mark.parametrize("place", ["over.yaml", "config/experiments.yaml"])
def test_a_mistake_in_yaml_has_its_line(world: Path, capsys: Any, place: str, text: str) -> None:
    (world / "over.yaml").write_text("seed: 1")
    (world / place).write_text(text)
    line = refused(["plan", "--configfile", "over.yaml"], capsys)
    assert line.startswith(f"error: {place} is not valid YAML (")
    assert YAML[text] in line
    assert line.endswith(": mend it there\n")


@pytest.mark.parametrize("text", ["", "- 1", "seed", "null"])
def test_a_configuration_is_a_mapping(world: Path, capsys: Any, text: str) -> None:
    (world / "over.yaml").write_text(text)
    line = "over.yaml: expected a mapping of keys at the top level"
    assert line in refused(["plan", "--configfile", "over.yaml"], capsys)


def test_aliases_that_are_used_as_they_should_be_are_taken(world: Path) -> None:
    (world / "over.yaml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: [*a, *a]\n")
    assert config.read_yaml("over.yaml")["b"] == {"x": 3, "y": 2}


def test_without_the_loader_in_c_the_same_is_refused(world: Path) -> None:
    """PyYAML is also installed without libyaml, where the stack that nesting exhausts is Python's."""
    script = "import yaml; del yaml.CSafeLoader\nfrom cpt_dynamics import config\nconfig.read_yaml('over.yaml')"
    for text, said in YAML.items():
        if text.startswith(("seed: 2001", "seed: [", "- -", "seed: 1\nscale")):
            (world / "over.yaml").write_text(text)
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
            assert f"UserError: over.yaml is not valid YAML ({said}" in done.stderr


# --- claims ---------------------------------------------------------------------------------------------------------

CLAIMS = {
    "above: true": "claims.one.criteria.first.above: Input should be a valid number",
    "above: '0'": "claims.one.criteria.first.above is the text '0': give a number",
    "above: .nan": "claims.one.criteria.first.above: Input should be a finite number",
    "is: 1": "claims.one.criteria.first.is: Input should be a valid boolean",
    "above: 0\n        bellow: 1": "unknown key 'claims.one.criteria.first.bellow': remove it or see"
    " workflow/schemas/claims.schema.json for the keys there are",
}


@pytest.mark.parametrize("text", CLAIMS)
@pytest.mark.parametrize("finding", ["2", "true"])
def test_a_number_of_a_claim_is_a_number(tmp_path: Path, text: str, finding: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(
        f"claims:\n  one:\n    text: A claim.\n    finding: {finding}\n    criteria:\n      first:\n"
        f"        value: fig03.fits.*.free_sign_B\n        says: x\n        {text}\n"
    )
    with pytest.raises(UserError) as raised:
        claims.load(path)
    assert f"{path}: {CLAIMS[text]}" in str(raised.value)
    assert ("claims.one.finding: Input should be a valid integer" in str(raised.value)) == (finding == "true")


# --- the workflow ---------------------------------------------------------------------------------------------------


def test_rules_quote_what_they_put_into_a_shell() -> None:
    found = 0
    for path in sorted(REPOSITORY.glob("workflow/**/*.smk")):
        shells = re.findall(r'^ +shell:\n((?: +".*"\n)+)', path.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(shells) == len(re.findall(r"^ +shell:", path.read_text(encoding="utf-8"), re.MULTILINE)), path
        for field in re.findall(r"\{([^{}]*)\}", "".join(shells)):
            found += 1
            assert field.endswith(":q") or field in ("params.launch", "threads"), f"{path}: {{{field}}}"
    assert found > 20


WORKFLOW = {
    "seed: 1\nseed: 2": "over.yaml is not valid YAML (key 'seed' is there twice at line 2, column 1): mend it there",
    "optimizer: {peak_lr: .inf}": "error: configuration: optimizer.peak_lr: Input should be a finite number",
    "results: r{x}": "error: configuration: results: braces mark wildcards of Snakemake",
    "scale: a`b`": f"error: configuration: scale: 'a`b`' {NO_NAME}",
    "results: config/config.yaml": "error: config/config.yaml/tiny cannot be used (Not a directory)",
}


@pytest.mark.slow
def test_snakemake_says_the_same(tmp_path: Path) -> None:
    folder = copy(tmp_path / "work")
    for text, line in WORKFLOW.items():
        (folder / "over.yaml").write_text(text)
        done = snakemake(folder, "-n", "--configfile", "over.yaml")
        assert done.returncode == 1
        assert line in done.stderr
        assert "Traceback" not in done.stderr


# --- the command line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("unbundle --configfile a.yaml r.tar", ["a.yaml"]),
        ("unbundle --configfile a.yaml b.yml c.json r.tar", ["a.yaml", "b.yml", "c.json"]),
        ("unbundle --configfile a.yaml --configfile b.yaml r.tar", ["a.yaml", "b.yaml"]),
        ("unbundle --configfile odd r.tar", ["odd"]),
        ("unbundle r.tar --configfile a.yaml b.yaml", ["a.yaml", "b.yaml"]),
        ("unbundle r.tar", []),
    ],
)
def test_configfile_leaves_the_words_after_it(given: str, taken: list[str]) -> None:
    options = cli._parsed(given.split())
    assert options.configfile == taken
    assert str(options.bundle) == "r.tar"


def run(*words: str, shell: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    """The program in a process of its own; `shell` is put behind its words."""
    command = " ".join([sys.executable, "-m", "cpt_dynamics", *words, shell])
    settings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, env=settings)


STREAMS = {
    ">/dev/full": (1, "error: the output cannot be written (No space left on device): send it elsewhere\n"),
    ">&-": (1, "error: the output is closed: send it to a file, or to /dev/null\n"),
    "| true": (0, ""),
    "2>&- >/dev/null": (0, ""),
}


@pytest.mark.parametrize("shell", STREAMS)
@pytest.mark.parametrize("words", [["laws"], ["laws", "--help"], ["--help"]], ids=" ".join)
def test_an_output_that_cannot_be_written_is_one_line(shell: str, words: list[str]) -> None:
    done = run(*words, shell=shell)
    assert (done.returncode, done.stderr) == STREAMS[shell]


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_text_is_utf8_in_every_locale_and_printed_in_that_of_the_terminal(world: Path) -> None:
    text = "optimizer: {peak_lr: 0.02}  # größer\nmodels: {größe: null, x∆: {layers: 1}}\n"
    (world / "over.yaml").write_text(text, encoding="utf-8")
    done = run("plan", "--configfile", "over.yaml", **ASCII)
    assert done.returncode == 2
    assert done.stderr.startswith(r"error: over.yaml: models.x\u2206: 'x\u2206' is no name")
    (world / "over.yaml").write_text("corpora: {prose: {description: größer}}\n", encoding="utf-8")
    figure = {"fig02": {"title": "Größe ∆ 😀", "runs": ["trunk"]}}
    (world / "config/experiments.yaml").write_text(
        yaml.safe_dump({**EXPERIMENTS, "figures": figure}, allow_unicode=True), encoding="utf-8"
    )
    assert run("plan", "--configfile", "over.yaml", **ASCII).returncode == 0
    script = "import sys\nfrom cpt_dynamics import cli\ncli._ready()\nprint('ß∆😀', sys.stdout.encoding)"
    settings = {**os.environ, **ASCII}
    (world / "say.py").write_text(script, encoding="utf-8")
    done = subprocess.run([sys.executable, "say.py"], capture_output=True, text=True, check=True, env=settings)
    assert done.stdout == "\\u00df\\u2206\\ud83d\\ude00 ascii\n"


OUTPUTS = ["/dev/null", "/dev/full", "/dev/stdout", "/proc/self/fd/1", "/dev/fd/1", "pipe.json", "config"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_device_pipe_or_folder_is_replaced(world: Path, capsys: Any, name: str) -> None:
    rows = "".join(f"{step},0.001,{2 + step**-0.5}\n" for step in range(1, 30))
    (world / "run.csv").write_text("step,lr,loss\n" + rows)
    os.mkfifo(world / "pipe.json")
    before = os.stat(name).st_ino
    line = refused(["bundle", "--out", name], capsys) if name != "config" else "folder"
    assert "is a device or pipe, which would be replaced" in line or "folder" in line
    line = refused(["fit", "run.csv", "--out", name], capsys)
    assert "is a device or pipe, which would be replaced" in line or "folder" in line
    assert os.stat(name).st_ino == before


SYSTEM = {
    "plan --configfile config": "config cannot be read (Is a directory)",
    "plan --configfile LONG": "cannot be read (File name too long)",
    "plan --configfile config/config.yaml/x": "config/config.yaml/x cannot be read (Not a directory)",
    "fit LONG": "cannot be used (File name too long)",
    "train --plan --groups config": "config cannot be read (Is a directory)",
    "train --plan --groups LONG": "cannot be used (File name too long)",
    "corpora pin config": "config cannot be read (Is a directory)",
    "release --out LONG": "",
    "documents prose --configfile data.yaml": "config/config.yaml/prose cannot be used (Not a directory)",
    "split prose --configfile data.yaml": "config/config.yaml/prose/documents.parquet does not exist",
    "tokens prose --configfile results.yaml": "config/config.yaml/tiny",
    "train --plan --configfile results.yaml": "config/config.yaml/tiny",
    "curves trunk --configfile results.yaml": "config/config.yaml/tiny",
    "findings --write --configfile results.yaml": "",
}


@pytest.mark.parametrize("words", SYSTEM)
def test_what_the_system_says_of_a_file_is_one_line(world: Path, capsys: Any, words: str) -> None:
    (world / "text").mkdir()
    (world / "text/prose.jsonl").write_text('{"text": "a"}\n')
    for key in ("data", "results"):
        (world / f"{key}.yaml").write_text(f"{key}: config/config.yaml")
    assert SYSTEM[words] in refused(words.replace("LONG", "x" * 300).split(), capsys)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (PermissionError(13, "Permission denied", "a/b"), 2, "a/b cannot be used (Permission denied)"),
        (OSError(30, "Read-only file system", b"a\xff"), 2, r"a\udcff cannot be used (Read-only file system)"),
        (OSError(21, "Is a directory", ".b.x/b", None, "b"), 2, "error: b cannot be used (Is a directory)"),
        (MemoryError("Unable to allocate 8 TiB"), 1, "out of memory (Unable to allocate 8 TiB)"),
        (MemoryError(), 1, "out of memory (MemoryError)"),
    ],
)
def test_an_error_of_the_system_is_one_line(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, error: Exception, code: int, line: str
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("cpt_dynamics.cli.laws.run_laws", fail)
    assert main(["laws"]) == code
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ctrl_c_at_any_moment_is_one_line(world: Path) -> None:
    """From the moment that Python runs the program; before that it is Python itself that says so."""
    (world / "sitecustomize.py").write_text("import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n")
    words = [sys.executable, "-m", "cpt_dynamics", "train", "--branch", "x"]
    settings = {**os.environ, "PYTHONPATH": str(world), "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    whole = subprocess.run(words, capture_output=True, text=True, check=False, env=settings)
    takes = time.monotonic() - began
    assert whole.returncode == 2
    said = set()
    for number in range(1, 20):
        started = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings)
        time.sleep(takes * number / 20)
        started.send_signal(signal.SIGINT)
        _, line = started.communicate()
        said.add((started.returncode, line))
    assert (130, "interrupted\n") in said
    assert said <= {(130, "interrupted\n"), (2, whole.stderr)}


def test_nothing_is_imported_before_ctrl_c_is_seen_to() -> None:
    code = "import sys; before = set(sys.modules); import cpt_dynamics.__main__; print(*set(sys.modules) - before)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in said.stdout.split() if name.startswith("cpt_dynamics")} == {
        "cpt_dynamics",
        "cpt_dynamics.__main__",
        "cpt_dynamics.interrupt",
    }


def test_ctrl_c_while_torch_is_imported_ends_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with errors.importing():
        assert signal.getsignal(signal.SIGINT) is interrupt.at_once
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("written", ["1e-3", "1.0e-3", "0.001", "1E-3", "+1e-3"])
def test_a_number_may_have_an_exponent_alone(written: str, tmp_path: Path) -> None:
    """YAML 1.1, which Snakemake reads, takes `1e-3` for text."""
    path = tmp_path / "own.yaml"
    path.write_text(f"optimizer: {{peak_lr: {written}}}\n", encoding="utf-8")
    assert config.read_yaml(path) == {"optimizer": {"peak_lr": 0.001}}
    raw = config.merge(config.read_yaml(REPOSITORY / "config/config.yaml"), {"optimizer": {"peak_lr": written}})
    if "." not in written:
        assert config.parse(raw, "own.yaml").optimizer.peak_lr == 0.001
