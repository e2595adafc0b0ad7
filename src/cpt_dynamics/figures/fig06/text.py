"""The words about Figure 6."""

from collections.abc import Mapping

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig06.result import Result
from cpt_dynamics.figures.kit.text import SETS, Text


def text(data: FigureData, result: Result) -> Text:
    replay = result.replay
    return Text(
        r"The distribution shift (CPT loss minus hidden pre-training loss) at constant learning rate, with the power"
        r" form of Eq.~\ref{eq:shift} fitted to each curve by itself. Above: CPT on each of two domains alone, on"
        r" \Dpt{} and on the validation set of the domain itself. Below: CPT on the strong domain mixed with \Dpt{}."
        r" With 100\,\% replay nothing changes at the transfer, so its shift is zero by construction. To see: whether"
        " the weak domain shifts both losses less, and whether more replay does so, too.",
        "a smaller shift for the domain that is closer to the general corpus and for more replay, on both sets,"
        " without numbers. Printed coefficients for replay (Figure~12) give the shares that stand in the notes.",
        [
            f"Share of the shift on {SETS[role]} that stays with replay: {_shares(found.relative) or '-'} here;"
            f" {_shares(replay.printed_relative[role])} in print."
            for role, found in replay.sets.items()
        ],
    )


def _shares(shares: Mapping[float, float | None]) -> str:
    """How much of the shift each replay ratio keeps."""
    return ", ".join(
        rf"{100 * share:.0f}\,\% at {100 * ratio:.0f}\,\%"
        for ratio, share in sorted(shares.items())
        if share is not None and 0 < ratio < 1
    )
