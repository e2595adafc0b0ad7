"""Every number of the report's text as a LaTeX macro. A new one is one line in one of the functions here."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.estimates import size_of
from cpt_dynamics.figures.kit.latex import count, escape, fixed, number, percent
from cpt_dynamics.reporting import agreement, epochs, findings
from cpt_dynamics.reporting.checks import verdict
from cpt_dynamics.reporting.claims import FIGURES, all_claims, claims
from cpt_dynamics.reporting.material import Material

UNITS = (
    "Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve",
    "Thirteen", "Fourteen", "Fifteen", "Sixteen", "Seventeen", "Eighteen", "Nineteen",
)  # fmt: skip
TENS = {2: "Twenty", 3: "Thirty", 4: "Forty", 5: "Fifty", 6: "Sixty", 7: "Seventy", 8: "Eighty", 9: "Ninety"}
ROLES = {"general": "General", "strong": "Domain"}
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


def macros(material: Material) -> dict[str, str]:
    """Name -> LaTeX of every macro."""
    found = {**general(material), **provenance(material), **findings.macros(material), **agreement.macros(material)}
    for figure, values in OF_FIGURES.items():
        if figure in material.figures:
            found |= {f"{words(figure)}{key}": value for key, value in values(material).items()}
    for figure in material.figures:
        held = claims(figure, material)
        found[f"{words(figure)}Verdict"] = held.verdict
        found[f"{words(figure)}ChecksHeld"] = str(sum(check.holds for check in held.checks))
        found[f"{words(figure)}Checks"] = str(len(held.checks))
    return found


def general(material: Material) -> dict[str, str]:
    """What was run, and how many checks hold."""
    config, plan = material.config, material.plan
    names = material.experiments.chosen(None)
    trained = sum(branch.steps for branch in plan.needed(names))
    unshared = sum(material.experiments.runs[run].steps for run in names)
    total = config.lengths.pretraining + config.lengths.continual
    tokens = sum(b.run.tokens(b.last) - b.run.tokens(b.first) for b in plan.needed(names))
    own = {figure for figure in material.figures if material.section(figure) == "runs"}
    checks = [check for figure, found in all_claims(material).items() if figure in own for check in found.checks]
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
        "Verdict": verdict(checks),
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
    found = [escape(c["name"]) for c in material.corpora() if c["source"] == "installed"]
    if not found:
        return "No corpus is read from the packages of the environment."
    return (
        f"{len(found)} of {len(material.corpora())} corpora are read from the packages of the environment: "
        "documentation, code and their like instead of web pages, and little of it, so that it is the same "
        "wherever the same versions are installed."
    )


def recorded(material: Material) -> str:
    """A sentence on the digests of the corpora."""
    corpora = material.corpora()
    other = [escape(c["name"]) for c in corpora if c["matches"] is False]
    unknown = [escape(c["name"]) for c in corpora if c["matches"] is None]
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
    machines = "; ".join(f"{m['processor']}, {m['system']}" for m in material.machines())
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
        f"{d['device']} ({d['precision']}, {'compiled' if d['compile'] else 'not compiled'}, "
        f"{d['threads']} thread{'' if d['threads'] == 1 else 's'} a job)"
        for d in material.devices()
    ]
    machines = [f"{m['processor']}, {m['cores']} cores, {m['system']}" for m in material.machines()]
    packages = [(TRAINED_WITH, material.versions()), (FITTED_WITH, material.fitted_with())]
    return {
        "CurvesRule": curves_rule(material),
        "Machines": escape("; ".join(machines)),
        "Started": clock(material.started),
        "Finished": clock(material.finished),
        "FinishedDay": escape(material.finished[:10]),
        "TrainingTime": duration(sum(material.of_manifests("cpu_seconds"))),
        "FittingTime": duration(material.fitting_seconds()),
        "Devices": escape("; ".join(devices)),
        **{
            f"{name}Version": escape(" and ".join(versions.get(package, ["not recorded"])))
            for names, versions in packages
            for package, name in names.items()
        },
    }


def fig02(material: Material) -> dict[str, str]:
    found: dict[str, str] = {}
    for role, one in material.pick("fig02", "sets").items():
        for form, label in (("power", "PowerRsq"), ("exponential", "ExponentialRsq")):
            found[label + ROLES[role]] = fixed(one["forms"]["phase_step"][form]["r2"], 3).latex
        found[f"Spread{ROLES[role]}"] = percent(one["spread"]["relative"], 1).latex
    return found


def fig03(material: Material) -> dict[str, str]:
    found: dict[str, str] = {}
    for role, one in material.pick("fig03", "fits").items():
        chosen = one["chosen"]
        found |= {
            f"Rsq{ROLES[role]}": fixed(chosen["r2"], 4).latex,
            f"RsqCpt{ROLES[role]}": fixed(chosen["r2_continual"], 4).latex,
            f"Error{ROLES[role]}": percent(chosen["mean_relative_error_continual"]).latex,
            f"Skill{ROLES[role]}": fixed(chosen["skill"], 2).latex,
        }
        found[f"PaperRsq{ROLES[role]}"] = number(material.table2(role)["r2"], 4).latex
    return found


def fig10(material: Material) -> dict[str, str]:
    found = {"Schedules": str(len(material.pick("fig10", "heldout_runs")))}
    for role, one in material.pick("fig10", "predictions").items():
        found[f"Error{ROLES[role]}"] = percent(one["pooled"]["law"]["mean_relative_error"]).latex
        found[f"Ratio{ROLES[role]}"] = fixed(one["pooled"]["ratio"], 2).latex
    return found


def sensitivity(material: Material) -> dict[str, str]:
    return {
        "Best": f"{material.pick('lambda', 'best'):.4g}",
        "BestMemory": f"{1 / (1 - material.pick('lambda', 'best')):.0f}",
    }


OF_FIGURES: dict[str, Callable[[Material], dict[str, str]]] = {
    "fig02": fig02,
    "fig03": fig03,
    "fig10": fig10,
    "lambda": sensitivity,
}


def as_latex(found: dict[str, str], figures: list[str]) -> str:
    """`\\newcommand` for every macro, switches as `\\ifHasFigThree` for every figure, and `\\ifHasAgreement`."""
    lines = ["% Generated from the results: every number that the text uses."]
    for name, value in found.items():
        if not name.isalpha():
            raise UserError(f"{name!r} cannot name a LaTeX macro: use letters only")
        lines.append(rf"\newcommand{{\{name}}}{{{value}}}")
    for figure in dict.fromkeys([*FIGURES, *figures]):
        state = "true" if figure in figures else "false"
        lines.append(rf"\newif\ifHas{words(figure)}\Has{words(figure)}{state}")
    lines.append(rf"\newif\ifHasAgreement\HasAgreement{'true' if 'AgreementOthers' in found else 'false'}")
    return "\n".join(lines) + "\n"
