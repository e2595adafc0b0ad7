"""Every planned contrast: the contrast `<scale>_x` of config/claims.yaml is made by the function `x`."""

from collections.abc import Callable

from cpt_dynamics.figures.contrasts.effects import ood, peak_lr, potential, replay, schedules, shift, sizes, unknown
from cpt_dynamics.figures.contrasts.known import Known
from cpt_dynamics.figures.contrasts.result import Contrast

EFFECTS: dict[str, Callable[[Known], Contrast]] = {
    function.__name__: function
    for function in (
        potential.potential_peak_100,
        potential.potential_peak_10,
        potential.potential_predicted,
        schedules.one_c,
        replay.interior_replay,
        replay.recommended_replay,
        schedules.unseen_schedules,
        schedules.annealing_skill,
        schedules.final_losses,
        schedules.best_rival,
        shift.power_form,
        shift.power_not_logarithm,
        shift.transfer_point,
        shift.moves_between,
        shift.weak_shift,
        schedules.weak_domain,
        sizes.size_law,
        sizes.size_shift,
        unknown.unknown_pretraining,
        unknown.unknown_r2,
        replay.replay_ends,
        replay.replay_growth,
        shift.batch,
        shift.turning_too_little,
        shift.turning_weak,
        ood.ood_linear,
        ood.ood_both,
        schedules.peaks,
        potential.potential_peak_50,
        potential.peak_matched,
        potential.potential_by_one_c,
        peak_lr.interior_peak,
        peak_lr.recommended_peak,
    )
}
