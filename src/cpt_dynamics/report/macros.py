"""Every number of the report's text as a LaTeX macro. A new one is one line in one of the functions here."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cpt_dynamics import figures
from cpt_dynamics.claims.verdicts import word
from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.estimates import size_of
from cpt_dynamics.figures.fig02.result import Result as Fig02
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.fig10.result import Result as Fig10
from cpt_dynamics.figures.kit import published
from cpt_dynamics.figures.kit.latex import Cell, count, escape, fixed, number, percent
from cpt_dynamics.figures.lambda_.result import Result as Lambda
from cpt_dynamics.report import epochs, verdicts
from cpt_dynamics.report.agreement import text
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.templates import render

UNITS = (
    "Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve",
    "Thirteen", "Fourteen", "Fifteen", "Sixteen", "Seventeen", "Eighteen", "Nineteen",
)  # fmt: skip
TENS = {2: "Twenty", 3: "Thirty", 4: "Forty", 5: "Fifty", 6: "Sixty", 7: "Seventy", 8: "Eighty", 9: "Ninety"}
ROLES = {Role.GENERAL: "General", Role.STRONG: "Domain"}
WARMUP = {
    "peak": "counts as if the learning rate had been at its peak",
    "true-in-S1": "counts as it was in the forward area and not at all in the annealing area",
    "true-in-both": "counts as it was",
}
PAPER_SMALLEST = 106e6  # non-embedding parameters
TRAINED_WITH = {
    "cpt_dynamics": "TrainedKit",
    "python": "Python",
    "torch": "Torch",
    "transformers": "Transformers",
}
FITTED_WITH = {"cpt_dynamics": "Kit", "numpy": "Numpy", "scipy": "Scipy", "snakemake": "Snakemake"}


def words(figure: str) -> str:
    """The letters that stand for a figure in names of macros: `FigThree` for `fig03`."""
    match = re.fullmatch(r"fig(\d{1,2})(.*)", figure)
    rest = figure if match is None else match[2]
    spelled = "Fig"
    if match is not None:
        tens, unit = divmod(int(match[1]), 10)
        spelled += UNITS[int(match[1])] if int(match[1]) < 20 else TENS[tens] + (UNITS[unit] if unit else "")
    parts = re.findall(r"[A-Za-z]+|\d", rest)
    return spelled + "".join(UNITS[int(part)] if part.isdigit() else part.capitalize() for part in parts)


@dataclass(frozen=True)
class Macro:
    """A number or sentence of the report's text; `source` says where it is from."""

    name: str
    latex: str
    source: str = ""


def macros(material: Material) -> list[Macro]:
    """Every macro."""
    plain = {
        **general(material),
        **provenance(material),
        **verdicts.macros(material.verdicts),
        **text.macros(material.agreement),
    }
    found = [Macro(name, latex) for name, latex in plain.items()]
    for figure in material.figures:
        found += of_figure(figure, material)
    return found


def of_figure(figure: str, material: Material) -> list[Macro]:
    """What the text says of a figure: what its checks say, and some of its numbers."""
    checks = material.checks(figure)
    path = f"fits/{figure}.json"
    found = [
        Macro(f"{words(figure)}Verdict", word(checks) if checks else "is not checked", f"config/claims.yaml, {path}"),
        Macro(f"{words(figure)}ChecksHeld", str(sum(one.holds for one in checks)), f"config/claims.yaml, {path}"),
        Macro(f"{words(figure)}Checks", str(len(checks)), "config/claims.yaml"),
    ]
    return found + OF_FIGURES[figure](material) if figure in OF_FIGURES else found


def general(material: Material) -> dict[str, str]:
    """What was run, and how many checks hold."""
    config, plan = material.config, material.plan
    names = material.experiments.chosen(None)
    trained = sum(branch.steps for branch in plan.needed(names))
    unshared = sum(material.experiments.runs[run].steps for run in names)
    total = config.lengths.pretraining + config.lengths.continual
    tokens = sum(b.run.tokens(b.last) - b.run.tokens(b.first) for b in plan.needed(names))
    own = [figure for figure in material.figures if material.section(figure) == "runs"]
    checks = [check for figure in own for check in material.checks(figure)]
    return {
        "ScaleName": escape(config.scale),
        "Seed": str(config.seed),
        "GeneralCorpus": escape(config.roles.general),
        "DomainCorpus": escape(config.roles.strong),
        "WeakCorpus": escape(config.roles.weak),
        "RunCount": count(len(names)).latex,
        "BranchCount": count(len(plan.needed(names))).latex,
        "StepsTrained": count(trained).latex,
        "StepsUnshared": count(unshared).latex,
        "StepsSaved": percent(1 - trained / unshared, 0).latex,
        "TokensTrained": f"{tokens / 1e6:.1f} million",
        "PtSteps": count(config.lengths.pretraining).latex,
        "CptSteps": count(config.lengths.continual).latex,
        "LambdaValue": f"{config.law.lambda_:.4g}",
        "MemorySteps": f"{1 / (1 - config.law.lambda_):.0f}",
        "MemoryShare": f"{total * (1 - config.law.lambda_):.0f}",
        "WarmupRule": WARMUP[config.law.warmup],
        "MomentumRule": "is carried over" if config.law.carry_over else "starts anew",
        "FirstStepRule": first_step(material),
        "SeedsRule": seeds(material),
        "SizesRule": sizes(material),
        "EmbeddedRule": embedded(material),
        "Checks": str(len(checks)),
        "ChecksHeld": str(sum(check.holds for check in checks)),
        "Verdict": word(checks),
        "CorporaAsRecorded": recorded(material),
        "EpochsRule": epochs.sentences(material),
    }


def first_step(material: Material) -> str:
    """Which losses of pre-training are fitted."""
    first = material.config.law.first_step
    if not first:
        return "All measured losses are fitted."
    return f"Losses of PT before step {count(first).latex} are left out."


def seeds(material: Material) -> str:
    """How far the noise between seeds is known."""
    found = sorted({material.experiments.runs[run].seed for run in material.experiments.chosen(None)})
    if len(found) == 1:
        return f"All runs have one seed ({found[0]}), so the noise between seeds is in no number of this report."
    return f"Runs have {len(found)} seeds; those that have only one say nothing of the noise between seeds."


def sizes(material: Material) -> str:
    """How far the models are from the paper's."""
    largest = max(size_of(name, material.config).parameters for name in material.models())
    if largest >= PAPER_SMALLEST:
        return f"The largest model has {count(largest).latex} non-embedding parameters."
    return (
        f"The largest model has {count(largest).latex} non-embedding parameters, the paper's smallest "
        f"{PAPER_SMALLEST / largest:,.0f} times as many. What is shown is the law at this size."
    )


def embedded(material: Material) -> str:
    """What text that is read from installed packages means."""
    found = [escape(c.name) for c in material.corpora if c.origin == "installed"]
    if not found:
        return "No corpus is read from the packages of the environment."
    return (
        f"{len(found)} of {len(material.corpora)} corpora are read from the packages of the environment: "
        "documentation, code and their like instead of web pages, and little of it, so that it is the same "
        "wherever the same versions are installed."
    )


def recorded(material: Material) -> str:
    """A sentence on the digests of the corpora."""
    corpora = material.corpora
    other = [escape(c.name) for c in corpora if c.known.source.matches is False]
    unknown = [escape(c.name) for c in corpora if c.known.source.matches is None]
    if other:
        return (
            f"The text of {', '.join(other)} is \\textbf{{not}} the recorded one, so numbers will differ from"
            " those made from it."
        )
    if unknown:
        return f"For {', '.join(unknown)} no digest is recorded; the text of all others is the recorded one."
    return "The text of every corpus is the recorded one."


def curves_rule(material: Material) -> str:
    """Whether the curves are of this machine or released ones."""
    if material.release is None:
        return "All curves are from models that were trained for this report."
    machines = "; ".join(f"{m.processor}, {m.system}" for m in material.machines())
    return (
        r"\textbf{The curves are released ones}, which were trained before, from "
        f"{clock(material.started)} to {clock(material.finished)} on a machine with {escape(machines)}; "
        "for this report they were fitted and drawn, and nothing was trained."
    )


def clock(time: str) -> str:
    """An ISO 8601 time as day and minute in UTC."""
    return datetime.fromisoformat(time).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def provenance(material: Material) -> dict[str, str]:
    """When, where and with what the models were trained."""
    devices = [
        f"{d.device} ({d.precision}, {'compiled' if d.compile else 'not compiled'}, "
        f"{d.threads} thread{'' if d.threads == 1 else 's'} a job)"
        for d in material.devices()
    ]
    machines = [f"{m.processor}, {m.cores} cores, {m.system}" for m in material.machines()]
    packages = [(TRAINED_WITH, material.versions()), (FITTED_WITH, material.fitted_with())]
    return {
        "CurvesRule": curves_rule(material),
        "Machines": escape("; ".join(machines)),
        "Started": clock(material.started),
        "Finished": clock(material.finished),
        "FinishedDay": escape(material.finished[:10]),
        "TrainingTime": duration(sum(one.cpu_seconds for one in material.manifests)),
        "FittingTime": duration(material.fitting_seconds()),
        "Devices": escape("; ".join(devices)),
        **{
            f"{name}Version": escape(" and ".join(versions.get(package, ["not recorded"])))
            for names, versions in packages
            for package, name in names.items()
        },
    }


def _macro(figure: str, name: str, cell: Cell, path: str) -> Macro:
    return Macro(f"{words(figure)}{name}", cell.latex, f"fits/{figure}.json: {path}")


def fig02(material: Material) -> list[Macro]:
    found = []
    if result := material.result(Fig02):
        for role, one in result.sets.items():
            for form, label in (("power", "PowerRsq"), ("exponential", "ExponentialRsq")):
                path = f"sets.{role}.forms.phase_step.{form}.r2"
                found.append(_macro("fig02", label + ROLES[role], fixed(one.forms.phase_step[form].r2, 3), path))
            relative = percent(one.spread.relative, 1)
            found.append(_macro("fig02", f"Spread{ROLES[role]}", relative, f"sets.{role}.spread.relative"))
    return found


def fig03(material: Material) -> list[Macro]:
    found = []
    if result := material.result(Fig03):
        for role, one in result.fits.items():
            name, path, chosen = ROLES[role], f"fits.{role}.chosen", one.chosen
            found += [
                _macro("fig03", f"Rsq{name}", fixed(chosen.r2, 4), f"{path}.r2"),
                _macro("fig03", f"RsqCpt{name}", fixed(chosen.r2_continual, 4), f"{path}.r2_continual"),
                _macro(
                    "fig03",
                    f"Error{name}",
                    percent(chosen.mean_relative_error_continual),
                    f"{path}.mean_relative_error_continual",
                ),
                _macro("fig03", f"Skill{name}", fixed(chosen.skill, 2), f"{path}.skill"),
                Macro(
                    f"FigThreePaperRsq{name}",
                    number(published.table2(role).r2, 4).latex,
                    "data/published/coefficients.yaml: table2",
                ),
            ]
    return found


def fig10(material: Material) -> list[Macro]:
    result = material.result(Fig10)
    if result is None:
        return []
    found = [_macro("fig10", "Schedules", Cell(str(len(result.heldout_runs))), "heldout_runs")]
    for role, one in result.predictions.items():
        path, error = f"predictions.{role}.pooled", one.pooled.law.mean_relative_error
        found.append(_macro("fig10", f"Error{ROLES[role]}", percent(error), f"{path}.law.mean_relative_error"))
        found.append(_macro("fig10", f"Ratio{ROLES[role]}", fixed(one.pooled.ratio, 2), f"{path}.ratio"))
    return found


def memory(material: Material) -> list[Macro]:
    result = material.result(Lambda)
    if result is None:
        return []
    return [
        _macro("lambda", "Best", Cell(f"{result.best:.4g}"), "best"),
        _macro("lambda", "BestMemory", Cell(f"{1 / (1 - result.best):.0f}"), "best"),
    ]


OF_FIGURES: dict[str, Callable[[Material], list[Macro]]] = {
    "fig02": fig02,
    "fig03": fig03,
    "fig10": fig10,
    "lambda": memory,
}


def checked(found: list[Macro]) -> list[Macro]:
    """The same macros; `UserError` for a name that LaTeX does not take."""
    for one in found:
        if not one.name.isalpha():
            raise UserError(f"{one.name!r} cannot name a LaTeX macro: use letters only")
    return found


def as_latex(found: list[Macro], shown: list[str]) -> str:
    """`\\newcommand` for every macro, switches as `\\ifHasFigThree` for every figure, and `\\ifHasAgreement`."""
    switches = {words(figure): figure in shown for figure in dict.fromkeys([*figures.names(), *shown])}
    switches["Agreement"] = any(one.name == "AgreementOthers" for one in found)
    return render("macros", macros=checked(found), switches=switches)
