"""What Figure 21 shows: losses on out-of-domain sets as linear combinations of two."""

from collections.abc import Mapping
from typing import Any

from cpt_dynamics.figures.kit.latex import Cell, escape, fixed, number
from cpt_dynamics.reporting.checks import Check, Claims
from cpt_dynamics.reporting.material import Material

WITHIN = 0.02  # nats, mean absolute error up to which a set counts as predicted
GAIN = 1.0  # error over that of the better of the two losses alone
CLEAR = 0.9  # error with an intercept over that without, below which the intercept helps


def claims(material: Material) -> Claims:
    sets = material.pick("fig21", "sets")
    checks = []
    for name, found in sets.items():
        single = {"general": r"$D_\mathrm{pt}$", "domain": r"$D_\mathrm{cpt}$"}[found["better_single"]]
        checks += [
            Check(
                f"mean absolute error on {escape(name)}, held-out runs (nats)",
                f"Eq. 6 predicts {name}",
                found["heldout"]["mean_absolute_error"],
                upper=WITHIN,
                show=lambda value: fixed(value, 4),
                printed=Cell("below 0.003"),
            ),
            Check(
                f"the same over that of the loss on {single} alone, with its own weight",
                f"two losses predict {name} better than one",
                found["gain"],
                upper=GAIN,
                show=lambda value: fixed(value, 3),
            ),
        ]
    return Claims(
        "Losses on sets that no run of the figure trains on, against the linear combination of the losses on"
        r" \Dpt{} and \Dcpt{} (Eq.~6 of the paper), CPT only. The weights above each panel come from the grey runs;"
        " the coloured ones were held out and differ in LR schedule, in the checkpoint and in the peak. To see:"
        " whether the points lie on the line, which has slope 1 and is not fitted to them.",
        r"eight such sets, whose weights (\Dcpt{}, \Dpt{}) are for other corpora and no target here: "
        + f"{printed_weights(material)}.",
        checks,
        [weights(sets), intercept(sets)] if sets else ["There is no out-of-domain set at this scale."],
    )


def printed_weights(material: Material) -> str:
    """The weights of the paper's sets."""
    found = material.published["out_of_domain"]["weights"]
    return "; ".join(
        f"{escape(name)} {fixed(pair['domain'], 3).latex}, {fixed(pair['general'], 3).latex}"
        for name, pair in found.items()
    )


def weights(sets: Mapping[str, Any]) -> str:
    """Weights here with their intervals, and R2 on the held-out runs."""
    said = []
    for name, found in sets.items():
        pair = ", ".join(_weight(found, key) for key in ("domain", "general"))
        said.append(f"{escape(name)} {pair}")
    reason = next(iter(sets.values()))["interval_reason"]
    r2 = "; ".join(f"{escape(name)} {fixed(found['heldout']['r2'], 3).latex}" for name, found in sets.items())
    return (
        rf"Weights (\Dcpt{{}}, \Dpt{{}}) here: {'; '.join(said)}. In brackets: {escape(reason)}."
        f" $R^2$ on the held-out runs (below 0 where the mean of the losses is a better prediction): {r2}."
    )


def _weight(found: Mapping[str, Any], key: str) -> str:
    value = fixed(found["weights"][key], 3).latex
    if not found["intervals"]:
        return value
    low, high = (fixed(end, 3).latex for end in found["intervals"][key])
    return f"{value} [{low} to {high}]"


def intercept(sets: Mapping[str, Any]) -> str:
    """How much a constant added to Eq. 6 would help."""
    ratios = {
        name: found["intercept"]["gain"] for name, found in sets.items() if found["intercept"]["gain"] is not None
    }
    helped = [name for name, ratio in ratios.items() if ratio < CLEAR]
    said = "; ".join(f"{escape(name)} {number(ratio, 2).latex}" for name, ratio in ratios.items())
    return (
        "The paper's form has no constant, and the checks are of that form. With one, fitted to the same losses, the"
        f" error on held-out runs becomes this many times as large: {said or 'not defined'}. It falls by more than"
        f" {round(100 * (1 - CLEAR))}\\,\\% on {len(helped)} of {len(ratios)} sets."
    )
