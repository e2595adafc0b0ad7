"""What Figure 17 shows: the shift with other batches and sequence lengths."""

from typing import Any

from cpt_dynamics.figures.kit.latex import count, fixed, number
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material

R2 = 0.95  # of the power form of the shift


def claims(material: Material) -> Claims:
    settings, sets = material.pick("fig17", "settings"), material.pick("fig17", "sets")
    checks = [
        Check(
            f"smallest $R^2$ of the power form (Eq.~\\ref{{eq:shift}}) among the settings, {SETS[role]}",
            f"R2 of the power form with other batches and sequences on {PLAIN[role]}",
            value,
            R2,
            show=lambda value: fixed(value, 3),
        )
        for role, value in material.pick("fig17", "least_r2").items()
    ]
    notes = [
        f"CPT with {_words(setting)}: "
        + "; ".join(_form(found["runs"][run], role) for role, found in sets.items())
        + "."
        for run, setting in settings.items()
    ]
    notes.append(
        r"The abscissa counts steps (times the learning rate), so the settings differ in the tokens seen at one place."
        r" Under a constant learning rate $C_1$ and $C_2$ of Eq.~\ref{eq:law} are not determined: the shift alone is"
        " fitted."
    )
    return Claims(
        "The distribution shift of CPT at constant learning rate with half and twice the batch and with sequences twice"
        " as long, each against a pre-training that goes on with the same batch, and a power form for each. To see:"
        " whether one form describes every setting, and how its size changes with the batch.",
        f"fits for three settings (tokens a sequence, sequences a batch), as magnitudes: {_printed(material)}."
        " No $R^2$.",
        checks,
        notes,
    )


def _words(setting: dict[str, Any]) -> str:
    text = f"{setting['sequences']} sequences of {setting['length']} tokens"
    text += "" if setting["changed"] else " (as in pre-training)"
    return f"{text}, {count(setting['cpt_tokens']).latex} tokens in all"


def _form(found: dict[str, Any], role: str) -> str:
    p = found["parameters"]
    values = ", ".join(
        f"${name}={number(p[key], 3).latex.strip('$')}$" for key, name in (("B", "B"), ("E", "E"), ("beta", r"\beta"))
    )
    end, r2 = number(found["end"]["shift"], 3).latex, fixed(found["r2"], 3).latex
    return f"{SETS[role]} {values}, at its end {end} nats, $R^2$ {r2}"


def _printed(material: Material) -> str:
    return "; ".join(
        f"{p['setting']}, {SETS[p['role']]}: ${p['parameters']['B']:g}\\,"
        f"[1-(1+{p['parameters']['E']}\\,s)^{{-{p['parameters']['beta']:g}}}]$"
        for p in material.published["shifts"]
        if p["figure"] == "fig17"
    )
