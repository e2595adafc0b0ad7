"""Figure 8: the best loss potential, peak LR and replay ratio against w1 by fitted laws (arXiv 2505.07796, Eq. 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig08.result import Inside, InsideByCurve, Interior, KnobOptima, Panels, ReplayOptima, Result
from cpt_dynamics.figures.fig19.result import Result as Fig19
from cpt_dynamics.figures.kit import selection, strengths
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.figures.kit.strengths import ROLES, LawSummary, PairSummary
from cpt_dynamics.figures.kit.weights import (
    Optima,
    interpolated,
    knob_statements,
    optima,
    replay_scans,
    replay_statements,
    scans,
)
from cpt_dynamics.fitting import Fit
from cpt_dynamics.planning import Pair, Scenario

FORMS = {
    "exchanged": "Eq. 8, growths exchanged",
    "printed": "Eq. 8 as printed",
    "separate": "separate fits, interpolated",
}
RATIOS = ("33", "50", "67")  # replay in % of the separate fits of Fig. 12


def analyse(data: FigureData) -> Result:
    """The best value of each knob at every w1; no curve is read.

    (a) the potential and (b) the peak LR for three strengths of the shift, (c) the replay ratio for three laws of it
    and three lengths of CPT.
    """
    config, printed = data.config, sources.load().figures["fig08"].panels
    known, eq8 = strengths.by_strength(data), _eq8(data)
    pairs = {name: one.pair for name, one in known.items()}
    start = strengths.scenario(config)
    stays = replace(start, continual=start.continual.model_copy(update={"peak": "last"}))
    peaks = [value / float(str(printed["b"].scenario["peak_lr"])) * start.peak_lr for value in printed["b"].values]
    steps = [strengths.scaled(steps, config) for steps in printed["c"].steps]
    forms = {**{name: Pair(*fits) for name, fits in eq8.items()}, "separate": _separate(data)}
    panels = Panels(
        a=_by_strength(pairs, stays, "potential", printed["a"].values),
        b=_by_strength(pairs, start, "peak_lr", peaks),
        c=_by_length(forms, start, steps, printed["c"].values),
    )
    return Result(
        figure="fig08",
        title=data.entry.title,
        validations={**selection.roles(config), Role.WEAK: config.roles.weak},
        pretraining_steps=start.pretraining_steps,
        continual_steps=start.continual_steps,
        laws={
            **{name: one.summary for name, one in known.items()},
            **{
                f"replay, {name}": PairSummary(general=LawSummary.of(general), domain=LawSummary.of(domain))
                for name, (general, domain) in eq8.items()
            },
        },
        panels=panels,
        interior=_interior(panels),
        checks=[*knob_statements("a", panels.a), *knob_statements("b", panels.b), *replay_statements(panels.c)],
    )


def _eq8(data: FigureData) -> dict[str, tuple[Fit, Fit]]:
    """Eq. 8 in two readings, on D_pt and on D_cpt."""
    general, strong = (data.result(Fig19).fits[role] for role in ROLES)
    return {
        "exchanged": (general.exchanged.fit, strong.exchanged.fit),
        "printed": (general.printed.fit, strong.printed.fit),
    }


def _separate(data: FigureData) -> Pair:
    """The fits without replay (Fig. 3) and at single ratios (Fig. 12), and in between."""
    without = strengths.pair_of_fig03(data)
    single = {int(ratio) / 100: strengths.at_ratio(data, ratio) for ratio in RATIOS}
    return Pair(
        interpolated({0.0: without.general, **{ratio: general for ratio, (general, _) in single.items()}}),
        interpolated({0.0: without.domain, **{ratio: domain for ratio, (_, domain) in single.items()}}),
    )


def _by_strength(pairs: Mapping[str, Pair], scenario: Scenario, knob: str, values: Sequence[float]) -> KnobOptima:
    """The best value of a knob against w1 for each strength of the shift."""
    found = scans(pairs, scenario, knob, values)
    return KnobOptima(
        knob=knob, scanned=(values[0], values[-1]), curves=optima(found), final=optima(found, measure="final")
    )


def _by_length(
    forms: Mapping[str, Pair], scenario: Scenario, steps: Sequence[int], ratios: Sequence[float]
) -> ReplayOptima:
    """The best replay ratio against w1 for each law of it and each length of CPT."""
    found = replay_scans(forms, scenario, steps, ratios)
    return ReplayOptima(
        knob="replay",
        scanned=(ratios[0], ratios[-1]),
        forms=FORMS,
        curves={form: optima(one) for form, one in found.items()},
        final={form: optima(one, measure="final") for form, one in found.items()},
    )


def _interior(panels: Panels) -> Interior:
    change = _by_curve(panels.a.curves, panels.b.curves, panels.c.curves)
    final = _by_curve(panels.a.final, panels.b.final, panels.c.final)
    return Interior(knobs=change.knobs, change=change, final=final)


def _by_curve(
    potential: Mapping[str, Optima], peak_lr: Mapping[str, Optima], replay: Mapping[str, Mapping[str, Optima]]
) -> InsideByCurve:
    flat = {f"{form}, {steps} steps": one for form, found in replay.items() for steps, one in found.items()}
    inside = [{name: _inside(one) for name, one in found.items()} for found in (potential, peak_lr, flat)]
    count = sum(any(one.weights for one in found.values()) for found in inside)
    return InsideByCurve(knobs=count, potential=inside[0], peak_lr=inside[1], replay=inside[2])


def _inside(curve: Optima) -> Inside:
    at = [round(weight, 6) for weight, inside in zip(curve.weights, curve.interior, strict=True) if inside]
    return Inside(weights=len(at), of=len(curve.weights), lowest=min(at, default=None), highest=max(at, default=None))
