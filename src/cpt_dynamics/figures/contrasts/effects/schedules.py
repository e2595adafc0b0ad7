"""Schedules that were not fitted: what Eq. 4, other laws and what needs no law predict of them."""

from dataclasses import dataclass
from functools import cached_property

from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts.estimates import Shown, largest_of, mean, mean_of, minus, over, ratio_of
from cpt_dynamics.figures.contrasts.known import Known, Predict
from cpt_dynamics.figures.contrasts.noise import defined, seed_noise
from cpt_dynamics.figures.contrasts.predictors import Lawless
from cpt_dynamics.figures.contrasts.result import Contrast, Effect, Numbers
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS

EQ4 = "cpt"
LAWS = {
    "S1 only": "s1_only",
    "one C": "cpt_one_c",
    "two memories": "cpt_two_memories",
    "logarithmic shift": "cpt_log",
    "Hill shift": "cpt_hill",
    "noise law": "cpt_noise",
}
NOISE = {"noise law with one K": "cpt_noise", "noise law with dK": "cpt_noise_shift"}
FROM_HALF = ("pt_wsd_at_half", "cpt_wsd_from_half")  # PT at half the peak, and what starts from it
ACROSS_PEAKS = "cpt_noise_excess"  # one K, with M; p = 1
FIRST = 1 / 9  # of all steps: where the first row is that is predicted across peaks
WEAK = ("pt_constant", "weak_constant", "pt_wsd", "weak_wsd")


@dataclass(frozen=True)
class Unseen:
    """The runs that Fig. 3 fits and those that Fig. 10 holds out."""

    known: Known

    @cached_property
    def fitted(self) -> list[str]:
        return self.known.entry("fig03").runs

    @cached_property
    def heldout(self) -> list[str]:
        return self.known.entry("fig10").heldout

    def need(self) -> "Unseen":
        self.known.need(*self.fitted, *self.heldout)
        return self

    def of_law(self, name: str, role: Role) -> Numbers | None:
        """Mean relative error on each held-out run; None for a law that is not there."""
        law = self.known.law(name, role)
        if law is None:
            return None
        found = self.known.fit(law, role, self.fitted)
        return self.known.errors(found.predict, self.heldout, role, self.fitted)

    def of_laws(self, names: dict[str, str], role: Role) -> dict[str, Numbers]:
        """The same by name of rival, without laws that are not there."""
        found = {rival: self.of_law(law, role) for rival, law in names.items()}
        return {rival: errors for rival, errors in found.items() if errors is not None}

    def eq4(self, role: Role) -> Numbers:
        errors = self.of_law(EQ4, role)
        assert errors is not None
        return errors

    def lawless(self, role: Role) -> dict[str, Numbers]:
        """Of each predictor that needs no law."""
        predictors = Lawless(self.known, self.fitted, role).all()
        return {rival: self.known.errors(one, self.heldout, role, self.fitted) for rival, one in predictors.items()}

    def final(self, name: str, role: Role) -> Numbers | None:
        """Predicted minus measured final loss of each held-out run (nats/token)."""
        law = self.known.law(name, role)
        if law is None:
            return None
        found = self.known.fit(law, role, self.fitted)
        return {
            run: float(found.predict(self.known.continual(run, role).tail(1))[0]) - self.known.final(run, role)
            for run in self.heldout
        }


def one_c(known: Known) -> Contrast:
    """The error of Eq. 4 with one C minus that with two, on each held-out run."""
    unseen = Unseen(known).need()
    losses, rivals = {}, Shown()
    for role in SETS:
        two, one = unseen.eq4(role), unseen.of_law("cpt_one_c", role)
        assert one is not None
        losses[role] = mean_of(minus(one, two))
        rivals.add(role, {"two C": 0.0})
        rivals.add(role, {name: mean(minus(e, two)) for name, e in unseen.of_laws(NOISE, role).items()})
    return Contrast(losses=losses, rivals=rivals.all)


def unseen_schedules(known: Known) -> Contrast:
    """The error of Eq. 4 on the held-out runs."""
    unseen = Unseen(known).need()
    losses, rivals, beside = {}, Shown(), Shown()
    for role in SETS:
        errors = unseen.eq4(role)
        losses[role] = Effect(estimate=mean(errors), units=errors)
        others = unseen.of_laws(LAWS, role) | unseen.lawless(role)
        rivals.add(role, {name: mean(one) for name, one in others.items()})
        if noise := seed_noise(known, role).relative:
            beside.add(role, {"in units of the relative seed noise": mean(errors) / noise})
    return Contrast(losses=losses, rivals=rivals.all, beside=beside.all)


def annealing_skill(known: Known) -> Contrast:
    """The error of Eq. 4 over that of the law without annealing areas, on the same runs."""
    unseen = Unseen(known).need()
    losses = {}
    for role in SETS:
        without = unseen.of_law("s1_only", role)
        assert without is not None
        losses[role] = ratio_of(unseen.eq4(role), without)
    return Contrast(losses=losses, rivals={"S1 only": dict.fromkeys(losses, 1.0)})


def final_losses(known: Known) -> Contrast:
    """The largest error of a final loss, over seed noise without the seeds' common offset."""
    unseen = Unseen(known).need()
    chosen = {name: LAWS[name] for name in ("one C", "two memories", "noise law")}
    losses, rivals = {}, Shown()
    for role in SETS:
        noise = defined(seed_noise(known, role).without_offset)

        def largest(law: str, role: Role = role, noise: float = noise) -> Effect | None:
            apart = unseen.final(law, role)
            return None if apart is None else largest_of({run: one / noise for run, one in apart.items()}, size=True)

        claimed = largest(EQ4)
        assert claimed is not None
        losses[role] = claimed
        others = {name: largest(law) for name, law in chosen.items()}
        rivals.add(role, {name: one.estimate for name, one in others.items() if one is not None})
    return Contrast(losses=losses, rivals=rivals.all)


def best_rival(known: Known) -> Contrast:
    """The error of Eq. 4 minus that of the best predictor without a law (by its mean), on each held-out run."""
    unseen = Unseen(known).need()
    losses, rivals, beside = {}, Shown(), Shown()
    for role in SETS:
        errors, lawless = unseen.eq4(role), unseen.lawless(role)
        best = lawless[min(lawless, key=lambda name: mean(lawless[name]))]
        losses[role] = mean_of(minus(errors, best))
        rivals.add(role, {name: mean(minus(one, best)) for name, one in lawless.items()})
        beside.add(role, {f"error of {name}": mean(one) for name, one in {"Eq. 4": errors, **lawless}.items()})
    return Contrast(losses=losses, rivals=rivals.all, beside=beside.all)


def peaks(known: Known) -> Contrast:
    """Across peak LRs of PT: the error of Eq. 4 minus that of the noise law on PT and CPT at half the peak, on D_pt."""
    role = Role.GENERAL
    fitted = [run for run in Unseen(known).fitted if run not in FROM_HALF]
    known.need(*fitted, *FROM_HALF)

    def errors(name: str) -> Numbers | None:
        law = known.law(name, role)
        if law is None:
            return None
        found = known.fit(law, role, fitted)
        return {run: _from(known, found.predict, run, role) for run in FROM_HALF}

    eq4, noise = errors(EQ4), errors(ACROSS_PEAKS)
    assert eq4 is not None
    assert noise is not None
    others = {"S1 only": errors("s1_only"), "Multi-Power Law": errors("cpt_multi_power")}
    apart = minus(eq4, noise)
    rivals = {"Eq. 4": 0.0, **{name: mean(minus(eq4, one)) for name, one in others.items() if one is not None}}
    return Contrast(
        losses={role: Effect(estimate=mean(apart), units=apart)},
        rivals={name: {role: value} for name, value in rivals.items()},
        beside={"error of Eq. 4": {role: mean(eq4)}, "error of the noise law": {role: mean(noise)}},
    )


def _from(known: Known, predict: Predict, run: str, role: Role) -> float:
    """Mean relative error on all rows of a run from the step on that `FIRST` says."""
    rows, lengths = known.curve(run, role), known.data.config.lengths
    rows = rows[rows["step"] >= FIRST * (lengths.pretraining + lengths.continual)]
    return float((predict(rows) / rows["loss"] - 1).abs().mean())


def weak_domain(known: Known) -> Contrast:
    """The error of Eq. 4 over that of the law without annealing areas on the CPT rows of the weak domain."""
    fitted = known.need(*WEAK)
    moved = [run.name for run in selection.transfers(known.data.experiments, fitted)]
    chosen = {name: LAWS[name] for name in ("one C", "logarithmic shift")}
    losses, rivals = {}, Shown()
    for role in (Role.GENERAL, Role.WEAK):

        def errors(name: str, role: Role = role) -> Numbers | None:
            law = known.law(name, role)
            return None if law is None else {r: known.error(known.fit(law, role, fitted), r, role) for r in moved}

        eq4, without = errors(EQ4), errors("s1_only")
        assert eq4 is not None
        assert without is not None
        losses[role] = ratio_of(eq4, without)
        others = {name: errors(law) for name, law in chosen.items()}
        rivals.add(role, {"S1 only": 1.0})
        rivals.add(role, {name: over(one, without) for name, one in others.items() if one is not None})
    return Contrast(losses=losses, rivals=rivals.all)
