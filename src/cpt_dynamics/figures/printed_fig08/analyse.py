"""Figure 8 from printed coefficients: the best loss potential, peak LR and replay ratio against w1 (Eq. 5)."""

from collections.abc import Mapping

import numpy as np

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.figures.kit.printed.sources import ROLES, Panel, PrintedFigure
from cpt_dynamics.figures.kit.weights import (
    STRENGTHS,
    Interpolated,
    interpolated,
    knob_statements,
    optima,
    replay_scans,
    replay_statements,
    scans,
)
from cpt_dynamics.figures.printed_fig08.result import (
    AlternativeOptima,
    Panels,
    PrintedKnob,
    PrintedReplay,
    Result,
    ShiftShares,
)
from cpt_dynamics.planning import Coefficients, Pair, Scan

RATIOS = {"moderate": 0.0, "replay 33 %": 1 / 3, "replay 50 %": 1 / 2, "weak": 2 / 3}  # of the fits of Figs. 3 and 12
REFERENCES = (1.0, 2.0, 4.0)  # S1cpt at which beta is matched
MATCHED = 2.0  # the one of the figure
SHIFT_AT = 4.0  # S1cpt at which the shifts of replay ratios are compared
FEW = (0.0, 0.25, 0.5, 0.75, 1.0)  # weights at which alternatives are stated
PRINTED, SATURATING, SEPARATE = "printed", "saturating", "separate"
FORMS = {PRINTED: "Eq. 8 as printed", SATURATING: "Eq. 8, saturating shift", SEPARATE: "separate fits, interpolated"}


def analyse(data: FigureData) -> Result:
    """Optima by panel, what they depend on, and what they show; nothing of `data` is read."""
    figure = sources.load().figures["fig08"]
    a, b = (_by_strength(figure, figure.panels[key], knob) for key, knob in (("a", "potential"), ("b", "peak_lr")))
    c = _by_length(figure, figure.panels["c"])
    checks = [*knob_statements("a", a), *knob_statements("b", b), *replay_statements(c)]
    return Result(**dict(sources.head(Result.FIGURE, figure, checks)), panels=Panels(a=a, b=b, c=c))


def _by_strength(figure: PrintedFigure, panel: Panel, knob: str) -> PrintedKnob:
    """The best value of a knob against w1 for the three shift strengths, and under each alternative at a few w1."""
    found = scans(_pairs(figure, figure.settings), panel.setting(), knob, panel.values)
    others = []
    for other in panel.alternatives:
        pairs = _pairs(figure, sources.changed(figure, other.change))
        changed = scans(pairs, panel.setting(other.change), knob, panel.values)
        others.append(AlternativeOptima(name=other.name, curves=optima(changed, FEW, other.change.measure)))
    return PrintedKnob(
        shows=panel.shows,
        knob=knob,
        scanned=(panel.values[0], panel.values[-1]),
        curves=optima(found),
        stated_at_few=optima(found, FEW),
        alternatives=others,
    )


def _pairs(figure: PrintedFigure, settings: sources.Settings) -> dict[str, Pair]:
    return {name: sources.pair(figure.coefficients[name], settings) for name in STRENGTHS}


def _by_length(figure: PrintedFigure, panel: Panel) -> PrintedReplay:
    """The best replay ratio against w1 for each form of the law and each length of CPT."""
    found = replay_scans(replay_forms(figure, MATCHED), panel.setting(), panel.steps, panel.values)
    return PrintedReplay(
        shows=panel.shows,
        knob="replay",
        scanned=(panel.values[0], panel.values[-1]),
        forms=FORMS,
        curves={form: optima(one) for form, one in found.items()},
        beta={
            f"{at:g}": {
                form: {role: matched_beta(figure, role, at, form == SATURATING) for role in ROLES}
                for form in (PRINTED, SATURATING)
            }
            for at in REFERENCES
        },
        beta_matched_at=MATCHED,
        sensitivity={f"{at:g}": optima(_shortest(figure, panel, at), FEW) for at in REFERENCES},
        shift_shares=_shift_shares(figure),
    )


def replay_forms(figure: PrintedFigure, s1cpt: float) -> dict[str, Pair]:
    """Three laws of the replay ratio from printed coefficients (keys as in `FORMS`).

    Eq. 8 with beta matched at `s1cpt` (see `matched_beta`), with its D_cpt shift growing as printed or as that of
    D_pt does; and the separate fits at 0, 33, 50 and 67 % replay, to which 100 % is added as Fig. 3 without shift.
    """
    general = _eq8(figure, Role.GENERAL, "cpt_replay_general", s1cpt)
    return {
        PRINTED: Pair(general, _eq8(figure, Role.STRONG, "cpt_replay_domain", s1cpt)),
        SATURATING: Pair(general, _eq8(figure, Role.STRONG, "cpt_replay_domain_saturating", s1cpt)),
        SEPARATE: Pair(*(_separate(figure, role) for role in ROLES)),
    }


def _eq8(figure: PrintedFigure, role: Role, law: str, s1cpt: float) -> Coefficients:
    """Eq. 8 with the coefficients of Fig. 19."""
    beta = matched_beta(figure, role, s1cpt, saturating=law != "cpt_replay_domain")
    return sources.coefficients(figure.coefficients["mixed"], role, figure.settings, law, beta=beta)


def matched_beta(figure: PrintedFigure, role: Role, s1cpt: float, saturating: bool) -> float:
    """The beta of Eq. 8, which is not printed, that gives the shift of Fig. 3 at `s1cpt` without replay."""
    known = sources.equation(figure.coefficients["mixed"], role).parameters
    b, e, a2 = (float(known[name] or 0.0) for name in ("B", "E", "a2"))
    growth = -np.expm1(-a2) if saturating or role == Role.GENERAL else np.expm1(a2)
    wanted = _shift(sources.equation(figure.coefficients["moderate"], role).parameters, s1cpt)
    return float(-np.log1p(-wanted / (b * growth)) / np.log1p(e * s1cpt))


def _shift(parameters: Mapping[str, float | None], s1cpt: float) -> float:
    """The shift term of Eq. 4 (nats/token)."""
    b, e, beta = (float(parameters[name] or 0.0) for name in ("B", "E", "beta"))
    return float(-b * np.expm1(-beta * np.log1p(e * s1cpt)))


def _separate(figure: PrintedFigure, role: Role) -> Interpolated:
    return interpolated(
        {
            ratio: sources.coefficients(figure.coefficients[name], role, figure.settings)
            for name, ratio in RATIOS.items()
        }
    )


def _shortest(figure: PrintedFigure, panel: Panel, s1cpt: float) -> dict[str, Scan]:
    """Scans of the shortest CPT by both forms of Eq. 8, with beta matched at an area."""
    forms = replay_forms(figure, s1cpt)
    eq8 = {name: forms[name] for name in (PRINTED, SATURATING)}
    return scans(eq8, panel.setting().with_knob("steps", panel.steps[0]), "replay", panel.values)


def _shift_shares(figure: PrintedFigure) -> ShiftShares:
    fitted = [_shift(sources.equation(figure.coefficients[name], Role.STRONG).parameters, SHIFT_AT) for name in RATIOS]
    a2 = float(sources.equation(figure.coefficients["mixed"], Role.STRONG).parameters["a2"] or 0.0)
    ratios = np.array(list(RATIOS.values()))
    return ShiftShares(
        s1cpt=SHIFT_AT,
        replay=ratios.tolist(),
        separate=[shift / fitted[0] for shift in fitted],
        printed=(np.expm1(a2 * (1 - ratios)) / np.expm1(a2)).tolist(),
        saturating=(np.expm1(-a2 * (1 - ratios)) / np.expm1(-a2)).tolist(),
    )
