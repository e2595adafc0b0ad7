"""What Figure 6 shows: the shift of two domains, and under replay."""

from collections.abc import Mapping
from typing import Any

from cpt_dynamics.figures.kit.latex import Cell, escape, fixed, percent
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims, statement
from cpt_dynamics.reporting.material import Material

SHIFT_R2 = 0.95  # of the power form, as in Figure 2
SIDES = {"general": (r"\Dpt{}", "D_pt"), "own": ("the domain's own loss", "the domain's own loss")}


def claims(material: Material) -> Claims:
    domains, replay = (material.pick("fig06", key) for key in ("domains", "replay"))
    checks = [_weaker(domains, side) for side in SIDES]
    for role, found in replay["sets"].items():
        checks += _ordered(found, role)
    checks.append(_least_r2(domains, replay))
    return Claims(
        r"The distribution shift (CPT loss minus hidden pre-training loss) at constant learning rate, with the power"
        r" form of Eq.~\ref{eq:shift} fitted to each curve by itself. Above: CPT on each of two domains alone, on"
        r" \Dpt{} and on the validation set of the domain itself. Below: CPT on the strong domain mixed with \Dpt{}."
        r" With 100\,\% replay nothing changes at the transfer, so its shift is zero by construction. To see: whether"
        " the weak domain shifts both losses less, and whether more replay does so, too.",
        "a smaller shift for the domain that is closer to the general corpus and for more replay, on both sets,"
        " without numbers. Printed coefficients for replay (Figure~12) give the shares that stand in the notes.",
        checks,
        [_shares(replay, role) for role in replay["sets"]],
    )


def _weaker(domains: Mapping[str, Any], side: str) -> Check:
    where, plain = SIDES[side]
    return Check(
        f"shift of the weak domain over that of the strong one, {where}",
        f"the weak domain shifts {plain} less",
        domains["weak_over_strong"][side],
        upper=1.0,
        show=lambda value: fixed(value, 3),
        printed=Cell("below 1"),
    )


def _ordered(found: Mapping[str, Any], role: str) -> list[Check]:
    return [
        statement(
            Cell(
                f"more of the domain, a larger shift on {PLAIN[role]}",
                f"the shift grows with the share of the domain in CPT, {SETS[role]}",
            ),
            found["monotone"],
        ),
        Check(
            rf"shift where CPT is on \Dpt{{}} alone over that without replay, {SETS[role]}",
            f"no shift without new data on {PLAIN[role]}",
            found["same_data"],
            upper=0.05,
            show=lambda value: percent(value, 1),
            printed=Cell("none"),
        ),
    ]


def _least_r2(domains: Mapping[str, Any], replay: Mapping[str, Any]) -> Check:
    """The worst of all fitted forms."""
    sides = [item for side in domains["sets"].values() for item in side.values()]
    mixed = [item for found in replay["sets"].values() for item in found["runs"].values()]
    each = {(item["run"], item["role"]): item["power"] for item in [*sides, *mixed]}
    fitted = [power["r2"] for power in each.values() if power is not None]
    known = [value for value in fitted if value is not None]
    return Check(
        f"smallest $R^2$ of the {len(fitted)} power forms",
        "the power form fits the shift of every run",
        min(known) if known and len(known) == len(fitted) else None,
        SHIFT_R2,
        show=lambda value: fixed(value, 3),
    )


def _shares(replay: Mapping[str, Any], role: str) -> str:
    """How much of the shift each replay ratio keeps, here and in print."""

    def said(shares: Mapping[str, float | None]) -> str:
        return ", ".join(
            rf"{100 * share:.0f}\,\% at {100 * float(ratio):.0f}\,\%"
            for ratio, share in sorted(shares.items(), key=lambda item: float(item[0]))
            if share is not None and 0 < float(ratio) < 1
        )

    ours, theirs = said(replay["sets"][role]["relative"]), said(replay["printed_relative"][role])
    return f"Share of the shift on {SETS[role]} that stays with replay: {ours or escape('-')} here; {theirs} in print."
