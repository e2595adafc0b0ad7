"""Runs: named lists of phases, read from experiments.yaml and expanded for a scale."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from cpt_dynamics import schedules
from cpt_dynamics.config import MOST_STEPS, Batch, Config, Name, PretrainedModel, Section, explain, read_yaml
from cpt_dynamics.errors import UserError
from cpt_dynamics.layout import Layout
from cpt_dynamics.schedules import Array, Piece, Schedule

PhaseName = Literal["pretraining", "continual"]

MOST_SEEDS = 1000
MOST_RUNS = 10_000  # of a scale, sizes and seeds apart
MOST_STEPS_OF_RUNS = 2 * 10**8  # together: the LR of each is kept


class PhaseEntry(Section):
    """A phase as experiments.yaml states it."""

    phase: PhaseName = Field(description="which areas of the law the steps belong to")
    data: dict[str, float] = Field(
        min_length=1, description="role or corpus -> share of the sequences of every step; shares sum to 1"
    )
    steps: int | str = Field(description="a number, or a multiple such as `1/6 * total`")
    schedule: Schedule = Schedule()
    batch_factor: float = Field(1.0, gt=0, le=1e6, description="sequences a step, in units of the scale's batch")
    length_factor: float = Field(1.0, gt=0, le=1e6, description="tokens a sequence, in units of the scale's length")

    @model_validator(mode="after")
    def _shares(self) -> "PhaseEntry":
        for name, share in self.data.items():
            if not 0 <= share <= 1:
                raise ValueError(f"data.{name} is {share}: a share (replay ratio) lies between 0 and 1")
        if abs(sum(self.data.values()) - 1) > 1e-9:
            raise ValueError(f"the shares in data sum to {sum(self.data.values()):g}, not 1")
        return self


class RunEntry(Section):
    """A run as experiments.yaml states it."""

    after: Name | None = Field(None, description="the run whose phases come first")
    at: int | str | None = Field(None, description="step of that run at which this one leaves it (default: its end)")
    phases: list[PhaseEntry] = Field(min_length=1)
    models: list[Name] | None = Field(
        None, description="model sizes to train it with (default: the first of the scale)"
    )
    seeds: int = Field(1, ge=1, le=MOST_SEEDS, description="number of seeds to train the first of its sizes with")
    measured: list[Name] = Field(
        [], description="out-of-domain corpora that its own phases measure as often as the general and domain corpora"
    )


class FigureEntry(Section):
    """What a figure or fit is made from."""

    title: str
    curves: Literal["runs", "none", "public", "delphi"] = Field(
        "runs",
        description="what it is made from: `runs` of this scale; `none`, printed coefficients or the fits it needs;"
        " `public` and `delphi`, the public curves multi-power and delphi, where they are on the machine",
    )
    runs: list[str] = Field([], description="runs that are fitted or shown")
    heldout: list[str] = Field([], description="runs that are predicted, never fitted")
    needs: list[Name] = Field([], description="figures whose fits this one uses")

    @model_validator(mode="after")
    def _runs(self) -> "FigureEntry":
        if (self.curves == "runs") != bool(self.runs):
            raise ValueError("list its runs, or say in `curves` that it is made without any")
        return self


class Entries(Section):
    runs: dict[Name, RunEntry]
    figures: dict[Name, FigureEntry]

    @classmethod
    def checked(cls, raw: Mapping[str, Any], name: str) -> "Entries":
        """The entries; mistakes raise `UserError` that names `name` and the key."""
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise UserError("; ".join(explain(e, name) for e in error.errors()[:3])) from None


@dataclass(frozen=True)
class Phase:
    """A phase of a run, with every number resolved for the scale.

    schedule : as stated, for `planned` steps; of these `steps` are taken
    peak : what `schedule.peak` is, a number where that is `last`, in units of the peak LR of pre-training
    pieces : the shapes that make up the LR of the steps
    """

    phase: PhaseName
    mixture: tuple[tuple[str, float], ...]
    steps: int
    batch: Batch
    lr: Array = field(repr=False)
    schedule: Schedule
    peak: float
    planned: int
    pieces: tuple[Piece, ...] = field(repr=False)

    @property
    def cut(self) -> bool:
        """Whether the run leaves the phase before its end (`at`)."""
        return self.steps < self.planned

    @property
    def own_schedule(self) -> Schedule | None:
        """The schedule that gives these LRs in as many steps as there are; None where `at` cuts a rise or a decay."""
        if not self.cut:
            return self.schedule
        level = self.pieces[-1].shape == "constant"
        return self.schedule.model_copy(update={"shape": "constant"}) if level else None

    @property
    def data(self) -> tuple[Any, ...]:
        """What two runs must agree on, besides the LR, to share steps."""
        return (self.mixture, self.batch.sequences, self.batch.length, self.batch.rope_base)


@dataclass(frozen=True)
class Run:
    """One training run from scratch; branches decide how much of it is trained anew.

    base : its name in experiments.yaml, which all its sizes and seeds share
    group : its name without the seed, which its seeds share
    repeat : 1 for the first seed, 2, 3 ... for others
    measured : out-of-domain corpora that are measured as often as the others
    """

    name: str
    model: str
    seed: int
    phases: tuple[Phase, ...]
    base: str
    group: str
    repeat: int = 1
    measured: tuple[str, ...] = ()

    @cached_property
    def lr(self) -> Array:
        """LR used by every step, `lr[i - 1]` for step i."""
        return np.concatenate([phase.lr for phase in self.phases])

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    @property
    def continual(self) -> bool:
        """Whether it ends with CPT."""
        return self.phases[-1].phase == "continual"

    @property
    def transfer_step(self) -> int:
        """Steps of pre-training."""
        return sum(phase.steps for phase in self.phases if phase.phase == "pretraining")

    def share(self, corpus: str) -> float:
        """Share of a corpus in the last phase: of that of pre-training, the replay ratio."""
        return dict(self.phases[-1].mixture).get(corpus, 0.0)

    def pieces(self, steps: int) -> tuple[Piece, ...]:
        """The shapes of the LR over the first steps: the same for two runs where their LRs are."""
        return schedules.cut(chain.from_iterable(phase.pieces for phase in self.phases), steps)

    def has_lr_of(self, other: "Run") -> bool:
        """Whether the run is as long as another one and has its LR in every step of it."""
        return self.pieces(other.steps) == other.pieces(other.steps)

    def continues(self, other: "Run") -> bool:
        """Whether the run goes on after the last step of another one, with all before as there, phase by phase."""
        pairs = list(zip(other.phases, self.phases, strict=False))
        return (
            self.steps > other.steps
            and (self.model, self.seed) == (other.model, other.seed)
            and len(pairs) == len(other.phases)
            and all(its.phase == mine.phase and its.data == mine.data for its, mine in pairs)
            and all(its.steps == mine.steps for its, mine in pairs[:-1])
            and pairs[-1][0].steps <= pairs[-1][1].steps
            and self.has_lr_of(other)
        )

    @property
    def stretches(self) -> list[tuple[int, Phase]]:
        """(first step, phase) of every phase; steps count from 1."""
        starts = np.cumsum([1, *(phase.steps for phase in self.phases)])
        return [(int(start), phase) for start, phase in zip(starts, self.phases, strict=False)]

    def at(self, step: int) -> tuple[Phase, int]:
        """The phase of a step, and the step's number within that phase (from 1)."""
        for first, phase in reversed(self.stretches):
            if step >= first:
                return phase, step - first + 1
        raise ValueError(f"steps count from 1, got {step}")

    @property
    def corpora(self) -> list[str]:
        """Names of all corpora that the run reads, without repeats."""
        return list(dict.fromkeys(name for phase in self.phases for name, _ in phase.mixture))

    def tokens(self, step: int) -> int:
        """Tokens trained on up to and including a step."""
        seen = 0
        for first, phase in self.stretches:
            done = min(max(step - first + 1, 0), phase.steps)
            seen += done * phase.batch.sequences * phase.batch.length
        return seen


def steps_to_evaluate(run: Run, config: Config, out_of_domain: bool = False) -> set[int]:
    """Steps after which losses are measured: powers of two after a phase starts, a grid, and the phase's end.

    The grid counts from the start of the phase, so a run and another that leaves it midway are measured at the
    same steps wherever they agree. That of the `out_of_domain` sets may be coarser, and their powers fewer.
    """
    spec = config.evaluation
    every = spec.out_of_domain_every if out_of_domain and spec.out_of_domain_every else spec.every
    most = spec.out_of_domain_dense if out_of_domain and spec.out_of_domain_dense else spec.dense
    dense = {2**k for k in range(most.bit_length()) if 2**k <= most}
    steps: set[int] = set()
    for first, phase in run.stretches:
        within = {*dense, *range(every, phase.steps, every), phase.steps}
        steps |= {first - 1 + step for step in within if step <= phase.steps}
    return steps


@dataclass(frozen=True)
class Twins:
    """The runs around a CPT run: its hidden pre-training curves on the general and on the domain corpus."""

    run: str
    hidden: str
    scratch: str | None


@dataclass(frozen=True)
class Experiments:
    """All runs of a scale, in the order of the file, and what each figure is made from.

    stated : entries of the runs as experiments.yaml has them
    absent : figures whose public curves are not on this machine -> the folder where they are looked for
    """

    runs: dict[str, Run]
    figures: dict[str, FigureEntry]
    stated: dict[str, RunEntry] = field(repr=False)
    absent: Mapping[str, Path] = field(default_factory=dict)

    @property
    def shown(self) -> list[str]:
        """Figures of the report: those whose curves are there or can be trained."""
        return [figure for figure in self.figures if figure not in self.absent]

    def runs_of(self, figure: str) -> list[str]:
        """Names of the runs of a figure, fitted ones first."""
        if figure not in self.figures:
            raise UserError(f"no figure {figure!r}: there are {', '.join(self.figures)}")
        entry = self.figures[figure]
        return list(dict.fromkeys([*entry.runs, *entry.heldout]))

    def named(self, name: str) -> list[str]:
        """The run of that name, or the runs of the figure of that name."""
        return [name] if name in self.runs else self.runs_of(name)

    def corpora(self, config: Config) -> list[str]:
        """Names of all corpora that are validated on, or that a run reads besides, without repeats."""
        own = [name for run in self.runs.values() for name in run.corpora]
        return list(dict.fromkeys([*config.validations(), *own]))

    def chosen(self, figures: list[str] | None) -> list[str]:
        """Names of the runs of these figures and of those whose fits they need; of all figures if None."""
        wanted = list(figures or self.figures)
        for figure in wanted:  # which grows on the way
            self.runs_of(figure)  # says which figures there are
            wanted += [other for other in self.figures[figure].needs if other not in wanted]
        return list(dict.fromkeys(run for figure in wanted for run in self.runs_of(figure)))

    def twins(self, name: str, among: Iterable[str]) -> Twins:
        """The hidden curves of a CPT run among the named runs (arXiv 2505.07796, Section 3).

        Both have the model, the seed and at every step the LR of the run, and never leave one corpus: that of its
        pre-training (`hidden`) or that of its CPT (`scratch`, None if there is none). Of several the longest is taken.
        """
        run = self.runs[name]
        found: dict[Any, str] = {}
        for other in sorted((self.runs[one] for one in among), key=lambda other: other.steps):
            mixtures = {phase.mixture for phase in other.phases}
            same = (other.model, other.seed) == (run.model, run.seed) and len(mixtures) == 1
            if same and all(phase.phase == "pretraining" for phase in other.phases) and other.has_lr_of(run):
                found[mixtures.pop()] = other.name
        general, domain = run.phases[0].mixture, run.phases[-1].mixture
        if general not in found:
            raise UserError(
                f"run {name!r} has no hidden pre-training curve: add a run that stays on its first corpus"
                f" with the same LR for {run.steps} steps"
            )
        return Twins(name, found[general], found.get(domain) if domain != general else None)

    def without_prefixes(self, names: Iterable[str]) -> list[str]:
        """Those of the named runs that no other one of them continues, whose curve holds theirs."""
        runs = [self.runs[name] for name in names]
        return [run.name for run in runs if not any(other.continues(run) for other in runs)]

    def extended(self, entries: Mapping[str, Any], config: Config) -> "Experiments":
        """These runs with more after them, by name as experiments.yaml would state them.

        So the new ones fork from the checkpoints that there are. Mistakes raise `UserError` with the key.
        """
        new = Entries.checked({"runs": entries, "figures": {}}, "the runs to add").runs
        stated = {**self.stated, **new}
        return replace(self, runs={**self.runs, **_expanded(new, stated, config)}, stated=stated)


def steps_of(value: int | str, config: Config) -> int:
    """Resolve `40`, `pretraining` or `1/6 * total` (total: pre-training and continual together)."""
    lengths = config.lengths
    units = {"pretraining": lengths.pretraining, "continual": lengths.continual}
    units["total"] = lengths.pretraining + lengths.continual
    number = r"\d{1,9}"
    multiple = rf"(?:({number}(?:\.{number})?|{number}/0*[1-9]\d{{0,8}})\s*\*\s*)?([a-z]+)"
    match = re.fullmatch(rf"{multiple}|({number})", str(value).strip(), re.ASCII)
    if not match or (match[2] and match[2] not in units):
        raise UserError(f"steps {value!r}: give a number or a multiple such as `1/6 * total`")
    steps = round(Fraction(match[3]) if match[3] else Fraction(match[1] or 1) * units[match[2]])
    if steps > MOST_STEPS:
        raise UserError(f"steps {value!r} are {steps:,}: give at most {MOST_STEPS:,} a phase")
    return max(1, steps)


def load(config: Config) -> Experiments:
    """Read and expand the experiments of a configuration; mistakes raise `UserError` with the key."""
    entries = stated(config)
    runs = _expanded(entries.runs, entries.runs, config)
    for figure, drawn in entries.figures.items():
        for run_name in [*drawn.runs, *drawn.heldout]:
            if run_name not in runs:
                raise UserError(
                    f"{config.stated_in}: figures.{figure} names the run {run_name!r}, which is not in runs"
                )
    absent = {
        figure: folder
        for figure, entry in entries.figures.items()
        if (folder := Layout(config).public.get(entry.curves)) and not (folder / "source.json").exists()
    }
    return Experiments(runs, entries.figures, entries.runs, absent)


def stated(config: Config) -> Entries:
    """Runs and figures as the files of a configuration state them; a later file adds to those before it."""
    runs: dict[str, RunEntry] = {}
    figures: dict[str, FigureEntry] = {}
    for number, path in enumerate(config.experiments):
        raw = read_yaml(path)
        entries = Entries.checked({"runs": {}, "figures": {}, **raw} if number else raw, path)
        runs |= entries.runs
        figures |= entries.figures
    return Entries(runs=runs, figures=figures)


def _expanded(new: Mapping[str, RunEntry], entries: Mapping[str, RunEntry], config: Config) -> dict[str, Run]:
    """Every size and seed of the new runs by its name; `entries` has those that they come after."""
    runs, steps = dict[str, Run](), 0
    for name, entry in new.items():
        sizes = entry.models or [next(iter(config.models))]
        for model in sizes:
            for repeat in range(1, 1 + (entry.seeds if model == sizes[0] else 1)):
                run = _expand(name, model, repeat, entries, config)
                runs[run.name] = run
                steps += run.steps
                if len(runs) > MOST_RUNS or steps > MOST_STEPS_OF_RUNS:
                    raise UserError(
                        f"{config.stated_in}: runs.{name}: with it there are {len(runs):,} runs of {steps:,} steps,"
                        f" which is more than {MOST_RUNS:,} or {MOST_STEPS_OF_RUNS:,}: state fewer"
                    )
    return runs


def _expand(name: str, model: str, repeat: int, entries: Mapping[str, RunEntry], config: Config) -> Run:
    if model not in config.models:
        raise UserError(f"{config.stated_in}: runs.{name}.models names {model!r}, which is not in models")
    spec = config.models[model]
    if isinstance(spec, PretrainedModel) and config.tokenizer.pretrained is None:
        raise UserError(
            f"{config.stated_in}: runs.{name} trains {model}, a pretrained model, which needs its own tokenizer: set"
            f" tokenizer.pretrained to {spec.pretrained}"
        )
    phases = _phases(name, entries, config, ())
    group = name if model == next(iter(config.models)) else f"{name}.{model}"
    label = group if repeat == 1 else f"{group}.seed{repeat}"
    return Run(
        label, model, config.seed + repeat - 1, tuple(phases), name, group, repeat, tuple(entries[name].measured)
    )


def _phases(name: str, entries: Mapping[str, RunEntry], config: Config, above: tuple[str, ...]) -> list[Phase]:
    where = f"{config.stated_in}: runs.{name}"
    if name in above:
        raise UserError(f"{where}: `after` leads back to itself ({' -> '.join([*above, name])})")
    if name not in entries:
        raise UserError(f"{config.stated_in}: `after` names the run {name!r}, which is not in runs")
    entry = entries[name]
    phases: list[Phase] = []
    if entry.after is not None:
        phases = _phases(entry.after, entries, config, (*above, name))
        if entry.at is not None:
            phases = _cut(phases, steps_of(entry.at, config), where)
    elif entry.at is not None:
        raise UserError(f"{where}.at: needs `after`, the run that this one leaves")
    for number, item in enumerate(entry.phases):
        try:
            phases.append(_phase(item, phases, config))
        except UserError as error:
            raise UserError(f"{where}.phases[{number}]: {error}") from None
    return phases


def _phase(entry: PhaseEntry, before: list[Phase], config: Config) -> Phase:
    steps = steps_of(entry.steps, config)
    last = float(before[-1].lr[-1]) if before else None
    warmup = config.lengths.rewarmup if before or entry.phase == "continual" else config.lengths.warmup
    unit, stated = config.optimizer.peak_lr, entry.schedule
    pieces = schedules.pieces(stated, steps, unit, warmup, last)
    peak = last / unit if stated.peak == "last" and last is not None else float(stated.peak)
    mixture = tuple((config.corpus_of(role), share) for role, share in entry.data.items() if share > 0)
    batch = config.batch
    try:
        resized = Batch(
            sequences=max(1, round(batch.sequences * entry.batch_factor)),
            length=max(8, round(batch.length * entry.length_factor)),
            rope_base=batch.rope_base * max(1.0, entry.length_factor),
        )
    except ValidationError as error:
        raise UserError(explain(error.errors()[0], "batch_factor and length_factor")) from None
    lr = np.concatenate([piece.lr for piece in pieces])
    return Phase(entry.phase, mixture, steps, resized, lr, stated, peak, steps, pieces)


def _cut(phases: list[Phase], steps: int, where: str) -> list[Phase]:
    """The first `steps` steps of a list of phases."""
    if steps > sum(phase.steps for phase in phases):
        raise UserError(f"{where}.at: step {steps} lies beyond the end of the run it leaves")
    kept: list[Phase] = []
    for phase in phases:
        take = min(phase.steps, steps - sum(p.steps for p in kept))
        if take > 0:
            kept.append(replace(phase, steps=take, lr=phase.lr[:take], pieces=schedules.cut(phase.pieces, take)))
    return kept
