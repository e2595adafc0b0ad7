# What all rules share: the checked configuration, the plan of the branches, paths, code as input.
import os
import re
import shutil
import socket
import sys
from functools import cache
from pathlib import Path

import yaml

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments, figures
from cpt_dynamics.closure import import_closure
from cpt_dynamics.corpora import local
from cpt_dynamics.curves import trials
from cpt_dynamics.curves.released import Release
from cpt_dynamics.errors import UserError, of_system, printable
from cpt_dynamics.experiments.models import model_files
from cpt_dynamics.files import atomic, canonical
from cpt_dynamics.layout import Layout
from cpt_dynamics.training.workflow import VARIABLE

# Trainings end with the Snakemake that started them, which the Snakemakes of single jobs on the same machine are not.
if VARIABLE not in os.environ or workflow.remote_exec:
    os.environ[VARIABLE] = f"{socket.gethostname()}:{os.getpid()}"


def checked(call, *arguments):
    """Call, and turn a mistake in the input into one line instead of a traceback."""
    try:
        return call(*arguments)
    except UserError as error:
        sys.exit(f"error: {printable(str(error))}")
    except OSError as error:
        if not (said := of_system(error)):
            raise
        sys.exit(f"error: {printable(said)}")


for path in workflow.overwrite_configfiles:  # Snakemake takes what is refused here, such as a key that is there twice
    checked(configuration.read_yaml, path)
# Snakemake puts the keys of --configfile before those of the default, but the first model of all is the default's.
GIVEN = configuration.merge(checked(configuration.read_yaml, configuration.DEFAULT), dict(config))
CONFIG = checked(configuration.parse, GIVEN, "configuration")
for key in ("results", "data", "released", "public_curves"):
    if set("{}") & set(getattr(CONFIG, key)):
        sys.exit(f"error: configuration: {key}: braces mark wildcards of Snakemake: choose a folder without them")
LAYOUT = Layout(CONFIG)
EXPERIMENTS = checked(experiments.load, CONFIG)
PLAN = experiments.plan(EXPERIMENTS.runs.values(), CONFIG)
FIGURES = EXPERIMENTS.shown
RUNS = EXPERIMENTS.chosen(None)
HAS_TEX = bool(shutil.which("latexmk") or shutil.which("tectonic"))
RELEASED = CONFIG.curves == "released"
HAS_GPU = bool(CONFIG.device.name != "cpu" and (shutil.which("nvidia-smi") or CONFIG.device.name == "cuda"))

# Commands read the configuration from a file. It is no input of any rule: a changed seed must not rebuild the corpora,
# so each rule names the sections it depends on as parameters.
CONFIGFILE = LAYOUT.root / "config.yaml"
MERGED = yaml.safe_dump(GIVEN, sort_keys=False)


def write_config():
    if not CONFIGFILE.exists() or CONFIGFILE.read_bytes() != MERGED.encode():
        with atomic(CONFIGFILE) as temporary:
            temporary.write_text(MERGED, encoding="utf-8")


checked(write_config)


if RELEASED:  # a mistake is said before anything runs
    RELEASE = checked(Release.open, LAYOUT.release)
    checked(RELEASE.check, [EXPERIMENTS.runs[name] for name in RUNS], CONFIG)


def settings(*sections):
    """A parameter: sections of the configuration as one string, the same whatever the order of its keys.

    As a function, since a string's braces, as in `${HOME}`, would be taken for wildcards.
    """
    dumped = CONFIG.model_dump(mode="json", by_alias=True)
    stated = canonical({section: dumped[section] for section in sections})
    return lambda wildcards: stated


def code(command, *more):
    """Source files that a command and further modules import: a rule with them as input reruns when one changes."""
    found = import_closure(f"cpt_dynamics.{command}", *more)
    here = os.getcwd() + os.sep  # relative, so that a checkout can be moved
    return [path.removeprefix(here) for path in found]


def of_figures(part, *names):
    """Modules of figures: `result`, `analyse`, `draw` or `text`."""
    return [f"{checked(figures.package, name)}.{part}" for name in names]


def local_files(wildcards):
    spec = CONFIG.corpora[wildcards.corpus]
    if spec.source != "local" or local.chosen(spec) is not spec:
        return []
    return checked(local.find, [*spec.validation, *spec.paths])


def earlier(wildcards):
    """Documents whose texts are left out of a corpus, so that no text is in two."""
    return [LAYOUT.documents(name) / "documents.parquet" for name in CONFIG.earlier(wildcards.name)]


def own_tokens(wildcards):
    """Token files of corpora that a branch reads and that play no role: a data set of one's own."""
    own = [name for name in PLAN.branches[wildcards.branch].run.corpora if name not in CONFIG.validations()]
    return [
        LAYOUT.tokens(name, part).with_suffix(suffix)
        for name in own
        for part in ("train", "validation")
        for suffix in (".bin", ".json")
    ]


def parent(wildcards):
    """The branch that a branch starts from. Its checkpoint lies in the undeclared folder of checkpoints."""
    name = PLAN.branches[wildcards.branch].parent
    return LAYOUT.branch(name) if name else []


def released(*names):
    """Files of the released curves, and the file that has the sha256 of each."""
    return [RELEASE.path(name) for name in names] + [LAYOUT.release / "release.json"]


def branches(wildcards):
    needed = PLAN.needed([wildcards.run])
    return [LAYOUT.branch(branch.id).with_suffix(suffix) for branch in needed for suffix in (".parquet", ".json")]


def run_tables(runs):
    return [path(run) for run in runs for path in (LAYOUT.curves, LAYOUT.schedules)]


def curves_of(wildcards):
    """What the analysis and the plot of a figure read besides its fit."""
    kind = EXPERIMENTS.figures[wildcards.figure].curves
    if kind == "none":
        return ["data/published/panels.yaml"]
    if kind == "public":
        return [LAYOUT.public[kind] / "source.json", "data/published/multi_power.yaml"]
    if kind == "delphi":
        return [LAYOUT.public[kind] / "source.json", "data/published/delphi.yaml", "data/benchmark/splits.yaml"]
    return run_tables(EXPERIMENTS.runs_of(wildcards.figure))


def trial_curves(wildcards):
    """What the analysis of the recommendations reads besides the curves of its figure."""
    if wildcards.figure != trials.FIGURE:
        return []
    paths = (trials.curves_path, trials.schedules_path)
    curves = [path(CONFIG, knob) for knob in trials.KNOBS for path in paths]
    return [trials.plan_path(CONFIG), *curves]


def needed_fits(wildcards):
    return [LAYOUT.fit(figure) for figure in EXPERIMENTS.figures[wildcards.figure].needs]


wildcard_constraints:
    corpus="|".join(name for name, spec in CONFIG.corpora.items() if spec.source != "rule"),
    name="|".join(CONFIG.corpora),
    branch="|".join(map(re.escape, PLAN.branches)),
    figure="|".join(EXPERIMENTS.figures),
    run="|".join(map(re.escape, RUNS)),


@cache
def sets_of_benchmark():
    """Set -> the files that say what its curves are. One line says which sets are not here."""
    from cpt_dynamics.leaderboard import sets, splits

    names = dict.fromkeys(split.set for split in checked(splits.load).splits.values())
    found = {name: checked(sets.files_of, name) for name in names}
    if absent := [name for name, paths in found.items() if paths is None]:
        remedy = "`cpt-dynamics public-curves` fetches them"
        print(f"the benchmark is without {', '.join(absent)}, whose curves are not here: {remedy}", file=sys.stderr)
    return {name: paths for name, paths in found.items() if paths is not None}


def curves_of_benchmark(wildcards):
    return [path for paths in sets_of_benchmark().values() for path in paths]
