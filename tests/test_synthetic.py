"""Synthetic curves from every coefficient set that the paper prints: what a fit gets back, and what it predicts.

The curves have the paper's scale and a relative noise of 0.002. Three PT schedules, each followed by three CPT
schedules, are fitted; the fit then predicts schedules that it has not seen, and is compared with the truth there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import curves

from cpt_dynamics import fitting, laws
from cpt_dynamics.fitting import Fit
from cpt_dynamics.fitting.identifiability import involved
from cpt_dynamics.laws import LAWS, Law
from cpt_dynamics.schedules import Schedule, lr

Table = dict[str, np.ndarray]
Point = dict[str, float]

PEAK, PT, CPT, WARMUP = 2e-4, 40_000, 10_000, 500
NOISE = 0.002
CLOSE = 1e-3  # mean relative error of a prediction
DETERMINED = 0.1  # relative standard error up to which a quantity must be recovered
WITHIN = 4  # standard errors
# Standard error of a Huber fit whose delta is half the noise, over that of least squares (normal noise): the root of
# E[clip(z, -k, k)^2] over P(|z| < k) at k = 0.5.
HUBER = 1.124

PRETRAINING = {
    "constant": Schedule(),
    "wsd": Schedule(shape="wsd", end=0.1),
    "cosine": Schedule(shape="cosine", end=0.1),
    "annealed": Schedule(shape="wsd"),
    "linear": Schedule(shape="linear", end=0.3),
}
CONTINUAL = {
    "constant": Schedule(peak="last"),
    "cosine": Schedule(shape="cosine", end=0.1),
    "wsd": Schedule(shape="wsd"),
    "linear": Schedule(shape="linear", peak="last"),  # without re-warm-up
    "low cosine": Schedule(shape="cosine", peak=0.1),  # re-warmed to 10 %
    "long decay": Schedule(shape="wsd", decay_share=0.5),
}
SEEN = [(before, after) for before in ("constant", "wsd", "cosine") for after in ("constant", "cosine", "wsd")]
UNSEEN = [("wsd", "linear"), ("annealed", "low cosine"), ("linear", "long decay")]
EVERYWHERE = {"L0", "A", "alpha", "largest A", "largest C1", "largest C2", "largest B"}  # must be determined

ITEMS: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "data" / "published" / "coefficients.yaml").read_text()
)["fits"]


@dataclass(frozen=True)
class World:
    """A law, its true parameters, the rows to fit, and the rows of unseen runs."""

    law: Law
    truth: Point
    features: Table
    unseen: list[Table]

    def losses(self, seed: int) -> np.ndarray:
        return curves.losses(self.law, self.truth, self.features, NOISE, seed)

    def errors(self, found: Fit) -> list[float]:
        """Mean relative error on every unseen run."""
        return [
            float(np.abs(found.predict(table) / self.law.predict(self.truth, table) - 1).mean())
            for table in self.unseen
        ]


@cache
def rows(before: str, after: str, lr_power: float = 0.1, every: int = 1) -> Table:
    """What laws read of a PT ("" as `after`) or of the CPT that follows it, dense after the transfer."""
    plan = lr(PRETRAINING[before], PT, PEAK, WARMUP)
    if after:
        plan = np.concatenate([plan, lr(CONTINUAL[after], CPT, PEAK, WARMUP, float(plan[-1]))])
        at = np.union1d(np.linspace(PT + 1, PT + CPT, 50 // every).astype(int), PT + 2 ** np.arange(10))
    else:
        at = np.linspace(1000, PT, 40 // every).astype(int)
    weighted = curves.areas_at(plan, PT, at, lr_power=lr_power)
    return curves.areas_at(plan, PT, at) | {f"{name}_lr": weighted[name] for name in ("s2pt", "s2cpt")}


def together(tables: list[Table]) -> Table:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def with_constant(table: Table, **values: float) -> Table:
    return table | {name: np.full(len(table["s1pt"]), value) for name, value in values.items()}


def seen(lr_power: float = 0.1, every: int = 1) -> tuple[list[Table], list[Table]]:
    """The three PT, whose rows count once, and the nine CPT."""
    before = [rows(name, "", lr_power, every) for name in dict.fromkeys(name for name, _ in SEEN)]
    return before, [rows(*pair, lr_power, every) for pair in SEEN]


def signed(name: str, truth: Point) -> Law:
    return laws.get(name, "positive" if truth["B"] > 0 else "negative")


def one_setting(name: str, item: dict[str, Any]) -> World:
    """Eqs. 4, 9 and 10: one model, one corpus."""
    truth = dict(item["parameters"])
    power = truth.pop("eps", 0.1)
    before, after = seen(power)
    return World(signed(name, truth), truth, together(before + after), [rows(*pair, power) for pair in UNSEEN])


def sizes(item: dict[str, Any]) -> World:
    """Eq. 7: every run at each of the three sizes."""
    truth = dict(item["parameters"])
    before, after = seen(every=2)
    scales = (106e6, 594e6, 1720e6)
    fitted = together([with_constant(table, params=n) for n in scales for table in before + after])
    unseen = [with_constant(rows(*pair), params=n) for pair in UNSEEN for n in scales]
    return World(signed("cpt_size", truth), truth, fitted, unseen)


def replays(item: dict[str, Any]) -> World:
    """Eq. 8: every run at five replay ratios; predictions at one that is not among them, too.

    beta is not printed. It is chosen so that without replay the shift after an S1cpt of 1 is that of Fig. 3.
    """
    truth, role = dict(item["parameters"]), item["role"]
    known = next(i["parameters"] for i in ITEMS if (i["figure"], i["role"]) == ("fig03", role))
    shift = known["B"] * (1 - (1 + known["E"]) ** -known["beta"])
    growth = 1 - np.exp(-truth["a2"]) if role == "general" else np.exp(truth["a2"]) - 1
    truth["beta"] = float(-np.log(1 - shift / (truth["B"] * growth)) / np.log(1 + truth["E"]))
    before, after = seen(every=2)
    fitted = [with_constant(table, replay=1.0) for table in before]
    fitted += [with_constant(table, replay=ratio) for ratio in (0.0, 0.33, 0.5, 0.67, 1.0) for table in after]
    unseen = [with_constant(rows(*pair), replay=ratio) for pair in UNSEEN for ratio in (0.0, 0.2, 0.5)]
    name = "cpt_replay_general" if role == "general" else "cpt_replay_domain"
    return World(signed(name, truth), truth, together(fitted), unseen)


MAKERS: dict[str, Callable[[dict[str, Any]], World]] = {
    "Eq. 4": lambda item: one_setting("cpt", item),
    "Eq. 7": sizes,
    "Eq. 8": replays,
    "Eq. 9": lambda item: one_setting("cpt_lr_weighted", item),
    "Eq. 10": lambda item: one_setting("cpt_power", item),
}
SETS = [item for item in ITEMS if item["law"] in MAKERS]
UNKNOWN = [item for item in ITEMS if item["law"] == "Eq. 4 with S1pt fitted"]


def label(item: dict[str, Any]) -> str:
    return f"{item['figure']}-{item['setting']}-{item['role']}"


def quantities(law: Law, parameters: Point, features: Table) -> Point:
    """Parameters, the law's combinations of them, and the largest size of each term: what a fit reports."""
    largest = np.abs(law.basis(parameters, features)).max(axis=0)
    sizes = {f"largest {name}": abs(parameters[name]) * size for name, size in zip(law.linear, largest, strict=True)}
    return {**parameters, **law.combinations(parameters), **sizes}


def reported(found: Fit) -> Point:
    sizes = {f"largest {name}": size for name, size in found.contributions.items()}
    return {**found.parameters, **found.combinations, **sizes}


def standard_errors(world: World) -> Point:
    """Relative standard error of every quantity, from the derivatives at the truth and the noise."""
    law, truth, features = world.law, world.truth, world.features
    names = [p.name for p in law.parameters]
    scale = np.array([truth[name] for name in names])
    jacobian = law.jacobian(truth, features) / law.predict(truth, features)[:, None] * scale
    _, values, directions = np.linalg.svd(jacobian, full_matrices=False)

    def around(name: str, change: float) -> np.ndarray:
        return np.array(list(quantities(law, {**truth, name: truth[name] * (1 + change)}, features).values()))

    exact = quantities(law, truth, features)
    slopes = [(around(name, 1e-5) - around(name, -1e-5)) / 2e-5 for name in names]
    relative = np.column_stack(slopes) / np.array(list(exact.values()))[:, None]
    found = HUBER * NOISE * np.linalg.norm(relative @ directions.T / np.maximum(values, 1e-12 * values[0]), axis=1)
    return dict(zip(exact, found.tolist(), strict=True))


def check(world: World, seed: int) -> None:
    found = fitting.fit(world.law, world.features, world.losses(seed))
    assert found.converged
    assert max(world.errors(found)) < CLOSE
    errors, exact, ours = standard_errors(world), quantities(world.law, world.truth, world.features), reported(found)
    determined = {name for name, error in errors.items() if error <= DETERMINED}
    assert determined >= EVERYWHERE
    assert ours.keys() == exact.keys()
    far = {name: (ours[name] / exact[name] - 1) / errors[name] for name in determined}
    assert max(np.abs(list(far.values()))) < WITHIN, far
    # parameters that the data do not tell apart are not among the determined ones
    directions = fitting.identifiability(world.law, world.truth, world.features).directions
    assert not {name for direction in directions for name in involved(direction)} & determined


@pytest.mark.parametrize("item", SETS, ids=label)
def test_unseen_schedules_are_predicted_and_what_is_determined_is_recovered(item: dict[str, Any]) -> None:
    check(MAKERS[item["law"]](item), seed=SETS.index(item))


@pytest.mark.slow
@pytest.mark.parametrize("item", SETS, ids=label)
def test_other_noise_changes_nothing(item: dict[str, Any]) -> None:
    for seed in range(100, 105):
        check(MAKERS[item["law"]](item), seed)


def test_every_printed_set_is_tried() -> None:
    assert len(SETS) + len(UNKNOWN) == len(ITEMS)
    assert {item["law"] for item in SETS} == set(MAKERS)


@cache
def continual_rows(shape: str, peak: float, decay_share: float = 0.2) -> Table:
    """A CPT of a model whose PT is unknown: the LR before it is taken as zero, the peak is 2e-5."""
    end = 0.1 * peak if shape == "cosine" else 0.0
    schedule = Schedule.model_validate({"shape": shape, "peak": peak, "end": end, "decay_share": decay_share})
    at = np.union1d(np.linspace(1, CPT, 50).astype(int), 2 ** np.arange(10))
    found = curves.areas_at(lr(schedule, CPT, 2e-5, WARMUP, 0.0), 0, at, initial_lr=0.0)
    return {name: found[name] for name in ("s1pt", "s1cpt", "s2cpt")}


@pytest.mark.parametrize("item", UNKNOWN, ids=label)
def test_unseen_schedules_are_predicted_where_pre_training_is_unknown(item: dict[str, Any]) -> None:
    """Fig. 18; CPT alone determines next to no parameter of this law, so only its predictions are compared."""
    truth = dict(item["parameters"])
    law = signed("cpt_unknown_growing" if truth["beta"] < 0 else "cpt_unknown", truth)
    fitted = together([continual_rows(shape, peak) for shape in ("constant", "cosine", "wsd") for peak in (0.5, 1.0)])
    unseen = [continual_rows("linear", 1.0), continual_rows("linear", 0.7), continual_rows("wsd", 1.0, 0.5)]
    world = World(law, truth, fitted, unseen)
    assert max(world.errors(fitting.fit(law, fitted, world.losses(UNKNOWN.index(item))))) < CLOSE


# Properties of Eq. 4

POINTS = st.fixed_dictionaries(
    {
        "L0": st.floats(1, 4),
        "A": st.floats(0.1, 1),
        "alpha": st.floats(0.2, 1),
        "C1": st.floats(0.05, 1),
        "C2": st.floats(0.05, 1),
        "B": st.floats(0.01, 2),
        "E": st.floats(0.1, 1e4),
        "beta": st.floats(0.01, 2),
    }
)
PLACES = st.fixed_dictionaries(
    {
        "s1pt": st.floats(0.5, 10),
        "s2pt": st.floats(0, 0.2),
        "s1cpt": st.floats(0.01, 3),
        "s2cpt": st.floats(-0.2, 0.2),
    }
)


def losses(point: Point, *places: Point) -> list[float]:
    """Eq. 4 at some places."""
    table = {name: np.array([place[name] for place in places]) for name in places[0]}
    return [float(value) for value in LAWS["cpt"].predict(point, table)]


@settings(max_examples=60, deadline=None)
@given(POINTS, PLACES, st.floats(0.1, 2))
def test_more_forward_area_of_pretraining_and_more_annealing_lower_the_loss(
    point: Point, place: Point, more: float
) -> None:
    for area in ("s1pt", "s2pt", "s2cpt"):
        before, after = losses(point, place, {**place, area: place[area] + more})
        assert after < before, area


@settings(max_examples=60, deadline=None)
@given(POINTS, PLACES, st.floats(1.1, 3))
def test_the_loss_follows_the_size_of_the_shift(point: Point, place: Point, factor: float) -> None:
    none, some, more = (losses({**point, "B": size * point["B"]}, place)[0] for size in (0, 1, factor))
    assert none < some < more
    opposite = losses({**point, "B": -point["B"]}, place)[0]
    assert none - opposite == pytest.approx(some - none, rel=1e-9, abs=1e-12)
    assert some - none <= point["B"]


@settings(max_examples=60, deadline=None)
@given(POINTS, PLACES, st.floats(0.05, 0.95))
def test_the_shift_grows_with_the_forward_area_of_cpt(point: Point, place: Point, share: float) -> None:
    """The rest of Eq. 4 depends on S1pt + S1cpt only, so that moving area from one to the other shows the shift."""
    earlier = {**place, "s1cpt": share * place["s1cpt"], "s1pt": place["s1pt"] + (1 - share) * place["s1cpt"]}
    at_transfer = {**place, "s1cpt": 0.0, "s1pt": place["s1pt"] + place["s1cpt"]}
    start, less, more = losses(point, at_transfer, earlier, place)
    assert start <= less <= more
    assert start == pytest.approx(losses({**point, "B": 0.0}, place)[0], rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(POINTS, PLACES, st.floats(0.1, 10))
def test_a_change_of_the_unit_of_the_lr_is_a_change_of_coefficients(point: Point, place: Point, unit: float) -> None:
    scaled = {**point, "A": point["A"] * unit ** point["alpha"]}
    scaled |= {name: point[name] / unit for name in ("C1", "C2", "E")}
    moved = {name: value * unit for name, value in place.items()}
    assert losses(scaled, moved) == pytest.approx(losses(point, place), rel=1e-10)
