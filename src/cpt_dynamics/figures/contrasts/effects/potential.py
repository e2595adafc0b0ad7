"""What the loss potential of a checkpoint does to CPT."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts.estimates import mean, mean_of, slope
from cpt_dynamics.figures.contrasts.known import Known, of_seed
from cpt_dynamics.figures.contrasts.result import Contrast, Numbers
from cpt_dynamics.fitting import Fit

WHOLE_PEAK = ("peak_100_potential_0", "peak_100_potential_50", "peak_100_potential_100")
TENTH_OF_PEAK = ("rewarm_potential_0", "rewarm_potential_50", "rewarm_potential_100")
PRINTED = ("cpt_potential_10", "cpt_potential_50", "cpt_potential_100")
RIVALS = {"Eq. 4 with one C": "cpt_one_c", "two memories": "cpt_two_memories", "noise law": "cpt_noise"}
DOMAIN = Role.STRONG


def potential_peak_100(known: Known) -> Contrast:
    """Slope of the final loss over the potential, CPT being re-warmed to the whole peak."""
    found = _slopes(known, WHOLE_PEAK)
    if (peak := _of_peak(known)) is not None:
        found.rivals["the peak LR of CPT instead of the potential"] = {DOMAIN: peak}
    if seeds := known.seeds_of(*PRINTED):
        printed = mean({str(seed): _measured(known, PRINTED, seed) for seed in seeds})
        found.beside["the printed design, whose peak is the potential"] = {DOMAIN: printed}
    return found


def potential_peak_10(known: Known) -> Contrast:
    """The same, CPT being re-warmed to a tenth of the peak."""
    return _slopes(known, TENTH_OF_PEAK)


def potential_predicted(known: Known) -> Contrast:
    """The slope at a tenth of the peak as the law fitted for Fig. 3 predicts it, minus the measured one."""
    fitted = known.need(*known.entry("fig03").runs)
    seeds = known.seeds_of(*TENTH_OF_PEAK)
    if not seeds:
        return Contrast(missing=known.without_seed(*TENTH_OF_PEAK))
    measured = {f"seed {seed}": _measured(known, TENTH_OF_PEAK, seed) for seed in seeds}

    def apart(law: str) -> Numbers | None:
        stated = known.law(law, DOMAIN)
        if stated is None:
            return None
        found = known.fit(stated, DOMAIN, fitted)
        return {name: _predicted(known, found, seeds[0]) - value for name, value in measured.items()}

    claimed = apart("cpt")
    assert claimed is not None
    rivals = {name: apart(law) for name, law in RIVALS.items()}
    return Contrast(
        losses={DOMAIN: mean_of(claimed)},
        rivals={name: {DOMAIN: mean(one)} for name, one in rivals.items() if one is not None},
        beside={
            "measured slope": {DOMAIN: mean(measured)},
            "predicted slope": {DOMAIN: mean(claimed) + mean(measured)},
        },
        missing=known.without_seed(*TENTH_OF_PEAK),
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


def _predicted(known: Known, found: Fit, seed: int) -> float:
    """The slope of a law, which has no seed: its areas are those of the LR."""
    names = [of_seed(run, seed) for run in TENTH_OF_PEAK]
    ends = [float(found.predict(known.continual(run, DOMAIN).tail(1))[0]) for run in names]
    return slope([_potential(known, run) for run in names], ends)


def _of_peak(known: Known) -> float | None:
    """Slope of the final loss over the peak LR of CPT, the potential held: mean over potentials and seeds."""
    pairs = [
        (of_seed(low, seed), of_seed(high, seed))
        for low, high in zip(TENTH_OF_PEAK, WHOLE_PEAK, strict=True)
        for seed in known.seeds_of(low, high)
    ]
    slopes = {}
    for low, high in pairs:
        first, last = known.run(low), known.run(high)
        rise = last.phases[-1].peak - first.phases[-1].peak
        slopes[high] = (known.final(high, DOMAIN) - known.final(low, DOMAIN)) / rise
    return mean(slopes) if slopes else None
