"""The words about the public curves of continual pre-training."""

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.delphi.result import (
    ABOVE,
    EQ4,
    INSIDE,
    LABELS,
    NOISE,
    OVER_BASES,
    OVER_MIXES,
    Joint,
    Result,
)
from cpt_dynamics.figures.kit.latex import count, escape, percent
from cpt_dynamics.figures.kit.text import Text, parameters
from cpt_dynamics.leaderboard.board import Row
from cpt_dynamics.leaderboard.scores import BETWEEN


def text(data: FigureData, result: Result) -> Text:
    smallest, largest = (parameters(n) for n in (min(result.params.values()), max(result.params.values())))
    return Text(
        f"Continual pre-training on mathematics at learning rates (LRs) that were not fitted, {len(result.params)}"
        f" models of {smallest} to {largest} parameters (bases are named by their training compute; LRs are parts of"
        " the peak of pre-training). A law is fitted to each base and mix by itself. First row of each: what the LR"
        " changes in the loss of the first mix (nats; the two inner LRs from the two outer ones, the highest from the"
        " three lower ones). Below: errors of all mixes, between the fitted LRs and above them. Last panel: errors of"
        " the last loss above the fitted LRs. To see: Eq.~4 promises too low a loss at the end, most of all at a"
        " higher LR; the noise law is nearer there and worse along the way.",
        "no such curves; these are others'.",
        [_source(result), _unseen(result), _fails(result), _mixes(result), _bases(result)],
    )


def _source(result: Result) -> str:
    known = result.authors.intervals
    errors = " and ".join(f"{percent(error).latex} for {base}" for base, error in result.authors.from_smaller.items())
    return (
        f"\\paragraph{{What its authors find.}} They publish, on predicting these runs: {errors} from smaller bases,"
        f" and {percent(result.authors.prefix_error, 3).latex} on the rest of a run from its first"
        f" {percent(result.authors.prefix, 0).latex}. Their {percent(known.level, 0).latex} intervals hold"
        f" {known.holds} of {known.of} values. None of their laws reads the LR schedule. These are answers to other"
        " questions than those below. Of the documents of the validation set,"
        f" {percent(result.near_duplicates.share, 0).latex} have a near-duplicate in the training text (similarity"
        f" {result.near_duplicates.similarity:g} and more): comparisons of LRs at one base hardly feel it, those of"
        " bases do."
    )


def _unseen(result: Result) -> str:
    inside, above = result.board(INSIDE), result.board(ABOVE)

    def means(rows: Mapping[str, Row]) -> str:
        return ", ".join(f"{label} {percent(rows[entry].mean).latex}" for entry, label in LABELS.items())

    return (
        f"\\paragraph{{Unseen LRs.}} Mean error over {count(inside[NOISE].runs).latex} runs between the fitted LRs:"
        f" {means(inside)}. Over {count(above[NOISE].runs).latex} runs above them: {means(above)}. At the end, where"
        f" decisions fall, Eq.~4 errs by {_signed(above[EQ4].bias)} above the fitted LRs and the noise law by"
        f" {_signed(above[NOISE].bias)}; between them by {_signed(inside[EQ4].bias)} and {_signed(inside[NOISE].bias)}"
        " (below zero: predicted too low)."
    )


def _fails(result: Result) -> str:
    """Where a law is worst, and how often a line between runs, which needs no law, is better."""
    found = []
    for split, where in ((INSIDE, "between"), (ABOVE, "above")):
        by_run = {entry: {one.run: one for one in result.of(split, entry)} for entry in (NOISE, EQ4, BETWEEN)}
        runs = list(by_run[NOISE])
        better = [sum(by_run[BETWEEN][run].mean < by_run[law][run].mean for run in runs) for law in (NOISE, EQ4)]
        ends = [sum(abs(by_run[BETWEEN][run].end) < abs(by_run[law][run].end) for run in runs) for law in (NOISE, EQ4)]
        worst = [max(by_run[law].values(), key=lambda one: one.worst) for law in (NOISE, EQ4)]
        found.append(
            f"{where} the fitted LRs the worst row of the noise law is off by {percent(worst[0].worst).latex}"
            f" (\\texttt{{{escape(worst[0].run)}}}) and that of Eq.~4 by {percent(worst[1].worst).latex}"
            f" (\\texttt{{{escape(worst[1].run)}}}), and a line in the logarithm of the LR through the two nearest"
            f" runs, which needs no law, has the smaller mean error on {better[0]} and {better[1]} of {len(runs)} runs"
            f" and the smaller error at the end on {ends[0]} and {ends[1]}"
        )
    first, second = found
    last = [one for one in result.of(ABOVE, NOISE) if one.run.startswith(f"{list(result.params)[-1]}/")]
    ends_ = " and ".join(_signed(one.end) for one in last)
    return (
        f"\\paragraph{{What fails.}} {first[0].upper()}{first[1:]}; {second}. Both laws are worst just after the"
        f" warm-up. At the largest base the noise law's ends above the fitted LRs are off by {ends_}: extrapolation in"
        " the LR is too optimistic with either law, and advice is best kept inside the fitted LRs. The page has a"
        " further, larger base whose loss has spikes at the highest LR and of which a run did not come to its end; it"
        " has no recorded digest, is in no split, and is in no number here. One seed a run: small differences mean"
        " little."
    )


def _mixes(result: Result) -> str:
    if not result.mixes:
        return ""
    of_splits = {one.run for one in result.scores}
    further = {run for one in result.mixes for run in one.missed} - of_splits
    inner, third = (
        [percent(_mean(result.mixes, law, runs)).latex for law in OVER_MIXES] for runs in (of_splits, further)
    )
    separate = result.board(INSIDE)
    last = (
        f"A mix that was not fitted is predicted to {third[0]}, {third[1]} and {third[2]}."
        if further
        else "Two mixes fix these powers and leave none to test them on: the third has no recorded digest."
    )
    return (
        "\\paragraph{Across mixes.} One law for all mixes of a base, with powers of the share of new text in the"
        f" size and the speed of the shift, predicts the inner LRs to {inner[0]} (noise law) and {inner[1]} (Eq.~4),"
        f" where fits to each mix by itself have {percent(separate[NOISE].mean).latex} and"
        f" {percent(separate[EQ4].mean).latex}; without annealing it is {inner[2]}. {last}"
    )


def _bases(result: Result) -> str:
    if not result.bases:
        return ""
    errors = {
        base: [_mean((one for one in result.bases if one.of.startswith(f"{base}/")), law) for law in OVER_BASES]
        for base in result.params
    }
    inner = [found[0] for found in list(errors.values())[1:-1] if found[0] is not None]
    last, (ours, without) = list(errors.items())[-1]
    trained = float(np.mean([one.trained for one in result.bases if one.law == OVER_BASES[0]]))
    published = result.authors.from_smaller.get(last)
    said = f"; the authors' own law has {percent(published).latex} there" if published else ""
    return (
        "\\paragraph{Across bases: failed.} Eq.~7, fitted to all bases of a mix but one, with the known LRs of"
        f" pre-training, fits to {percent(trained).latex} and misses the base left out by {percent(min(inner)).latex}"
        f" to {percent(max(inner)).latex} inside the range of sizes and by {percent(ours).latex} at the largest base"
        f" ({percent(without).latex} without $S_2$){said}. Batch, length and LR change together with the size here, and"
        " the law knows the size alone."
    )


def _mean(joints: Iterable[Joint], law: str, runs: Collection[str] | None = None) -> float | None:
    """Mean error of a law over its missed runs, or over those among `runs`; None where there is none."""
    found = [
        errors.mean
        for one in joints
        for run, errors in one.missed.items()
        if one.law == law and (runs is None or run in runs)
    ]
    return float(np.mean(found)) if found else None


def _signed(error: float) -> str:
    return rf"${100 * error:+.2f}$\,\%"
