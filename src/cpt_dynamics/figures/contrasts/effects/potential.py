"""What the loss potential of a checkpoint does to CPT."""

from collections.abc import Sequence

from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts.estimates import mean, mean_of, slope
from cpt_dynamics.figures.contrasts.known import SEEDS, Known, of_seed
from cpt_dynamics.figures.contrasts.result import Contrast, Numbers
from cpt_dynamics.fitting import Fit

WHOLE, HALF, TENTH = "peak_100", "peak_50", "rewarm"  # how names of runs of one CPT begin, by its peak LR
POTENTIALS = (0, 10, 50, 100)  # in percent, as these names end
PRINTED = ("cpt_potential_10", "cpt_potential_50", "cpt_potential_100")
EQ4, ONE_C = "Eq. 4", "Eq. 4 with one C"
PREDICTORS = {EQ4: "cpt", ONE_C: "cpt_one_c", "two memories": "cpt_two_memories", "noise law": "cpt_noise"}
DOMAIN = Role.STRONG


def potential_peak_100(known: Known) -> Contrast:
    """Slope of the final loss over the potential, CPT being re-warmed to the whole peak."""
    found = _slopes(known, known.grid(WHOLE, POTENTIALS))
    if peaks := _of_peak(known, _pairs(known)):
        found.rivals["the peak LR of CPT instead of the potential"] = {DOMAIN: mean(peaks)}
    if seeds := known.seeds_of(*PRINTED):
        printed = mean({str(seed): _measured(known, PRINTED, seed) for seed in seeds})
        found.beside["the printed design, whose peak is the potential"] = {DOMAIN: printed}
    return found


def potential_peak_10(known: Known) -> Contrast:
    """The same, CPT being re-warmed to a tenth of the peak."""
    return _slopes(known, known.grid(TENTH, POTENTIALS))


def potential_peak_50(known: Known) -> Contrast:
    """The same, CPT being re-warmed to half the peak."""
    return _slopes(known, known.grid(HALF, POTENTIALS))


def peak_matched(known: Known) -> Contrast:
    """Slope of the final loss over the peak LR of CPT, the checkpoint being the same: the mean over checkpoints."""
    low, high = known.grid(TENTH, POTENTIALS), known.grid(WHOLE, POTENTIALS)
    missing, seeds = known.without_seed(*low, *high), known.seeds_of(*low, *high)
    if not seeds:
        return Contrast(missing=missing)
    units = {f"seed {seed}": mean(_of_peak(known, _pairs(known, [seed]))) for seed in seeds}
    potential = mean({str(seed): _measured(known, high, seed) for seed in seeds})
    return Contrast(
        losses={DOMAIN: mean_of(units)},
        rivals={"the loss potential instead of the peak LR": {DOMAIN: potential}},
        missing=missing,
    )


def potential_predicted(known: Known) -> Contrast:
    """The slope at a tenth of the peak as the law fitted for Fig. 3 predicts it, minus the measured one."""
    return _predictions(known, EQ4)


def potential_by_one_c(known: Known) -> Contrast:
    """The same with one C."""
    return _predictions(known, ONE_C)


def _predictions(known: Known, claimed: str) -> Contrast:
    """Predicted minus measured slopes of a law and of the others, one a seed."""
    tenth = known.grid(TENTH, POTENTIALS)
    fitted = known.need(*known.entry("fig03").runs)
    seeds = known.seeds_of(*tenth)
    if not seeds:
        return Contrast(missing=known.without_seed(*tenth))
    measured = {f"seed {seed}": _measured(known, tenth, seed) for seed in seeds}

    def apart(law: str) -> Numbers | None:
        stated = known.law(law, DOMAIN)
        if stated is None:
            return None
        found = known.fit(stated, DOMAIN, fitted)
        return {name: _predicted(known, found, tenth, seeds[0]) - value for name, value in measured.items()}

    units = apart(PREDICTORS[claimed])
    assert units is not None
    rivals = {name: apart(law) for name, law in PREDICTORS.items() if name != claimed}
    return Contrast(
        losses={DOMAIN: mean_of(units)},
        rivals={name: {DOMAIN: mean(one)} for name, one in rivals.items() if one is not None},
        beside={
            "measured slope": {DOMAIN: mean(measured)},
            "predicted slope": {DOMAIN: mean(units) + mean(measured)},
        },
        missing=known.without_seed(*tenth),
    )


def _slopes(known: Known, runs: tuple[str, ...]) -> Contrast:
    """One slope a seed, of the seeds that are there."""
    missing, seeds = known.without_seed(*runs), known.seeds_of(*runs)
    if not seeds:
        return Contrast(missing=missing)
    units = {f"seed {seed}": _measured(known, runs, seed) for seed in seeds}
    return Contrast(losses={DOMAIN: mean_of(units)}, rivals={"no effect": {DOMAIN: 0.0}}, missing=missing)


def _potential(known: Known, name: str) -> float:
    """The last LR of PT over its peak."""
    run = known.run(name)
    before = run.lr[: run.transfer_step]
    return float(before[-1] / before.max())


def _measured(known: Known, runs: tuple[str, ...], seed: int) -> float:
    names = [of_seed(run, seed) for run in runs]
    return slope([_potential(known, run) for run in names], [known.final(run, DOMAIN) for run in names])


def _predicted(known: Known, found: Fit, runs: tuple[str, ...], seed: int) -> float:
    """The slope of a law, which has no seed: its areas are those of the LR."""
    names = [of_seed(run, seed) for run in runs]
    ends = [float(found.predict(known.continual(run, DOMAIN).tail(1))[0]) for run in names]
    return slope([_potential(known, run) for run in names], ends)


def _pairs(known: Known, seeds: Sequence[int] = SEEDS) -> list[tuple[str, str]]:
    """Runs from one checkpoint, at a tenth and at the whole of the peak, that are both there."""
    ends = {run.removeprefix(WHOLE) for run in known.grid(WHOLE, POTENTIALS)}
    tenth = [run for run in known.grid(TENTH, POTENTIALS) if run.removeprefix(TENTH) in ends]
    pairs = [(run, run.replace(TENTH, WHOLE)) for run in tenth]
    named = [(of_seed(low, seed), of_seed(high, seed)) for low, high in pairs for seed in seeds]
    return [pair for pair in named if not known.missing(pair)]


def _of_peak(known: Known, pairs: Sequence[tuple[str, str]]) -> Numbers:
    """Slope of the final loss over the peak LR of CPT within each pair, by the run at the whole peak."""
    slopes = {}
    for low, high in pairs:
        rise = known.run(high).phases[-1].peak - known.run(low).phases[-1].peak
        slopes[high] = (known.final(high, DOMAIN) - known.final(low, DOMAIN)) / rise
    return slopes
