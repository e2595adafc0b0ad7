"""One fit as an optimisation problem, in coordinates that are free of units.

A point is `[c, u]`: c are the coefficients as the largest contribution of their term over the data (nats), so
that B*(1-(1+E*S)^-beta) stays of one size while B grows and beta shrinks; u are the shape parameters, as
logarithms where their lower bound is positive.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cpt_dynamics.errors import UserError
from cpt_dynamics.laws import Array, Features, Law

Mask = NDArray[np.bool_]
FLOOR = 0.1  # below this share of the observed loss, log(prediction) is continued along its tangent


@dataclass(frozen=True)
class Columns:
    """The law at given shape parameters.

    basis: [n, q], the columns divided by their largest magnitudes `largest` [q], which they have in the rows
    `at` [q]. offset: [n], the part without free coefficients.
    """

    basis: Array
    largest: Array
    at: NDArray[np.intp]
    offset: Array | float

    def predict(self, c: Array) -> Array:
        """The prediction at scaled coefficients c [q], [n]."""
        return np.asarray(self.basis @ c + self.offset)


class Problem:
    """Sum of Huber terms of the residuals of `law` on the rows of `features` and `loss`."""

    def __init__(self, law: Law, features: Features, loss: Array, delta: float) -> None:
        self.law, self.x, self.delta = law, law.arrays(features), delta
        self.loss = np.asarray(loss, dtype=np.float64)
        self.names = (*law.linear, *law.nonlinear)
        self.n_linear = len(law.linear)
        bounds = law.bounds(self.x)
        by_name = {p.name: p for p in law.parameters}
        self.log = np.array([by_name[name].lower > 0 for name in law.nonlinear], dtype=bool)
        shape = np.array([bounds[name] for name in law.nonlinear]).reshape(-1, 2)
        shape[self.log] = np.log(shape[self.log])
        linear = np.array([bounds[name] for name in law.linear])
        self.lower, self.upper = np.concatenate([linear, shape]).T
        self._check()

    def _check(self) -> None:
        rows = {len(self.loss), *(len(a) for a in self.x.values())}
        if len(rows) > 1:
            raise UserError("the features and the loss have different numbers of rows: they must agree")
        if len(self.loss) < len(self.names):
            sizes = f"{len(self.names)} parameters for {len(self.loss)} rows"
            raise UserError(f"law {self.law.name!r} has {sizes}: add curves")
        bad = ~np.isfinite(self.loss) | ((self.loss <= 0) if self.law.residual == "log" else False)
        if bad.any():
            raise UserError(f"row {int(np.argmax(bad))} of the data has no finite positive loss: leave it out")
        basis = self.columns(self.middle()).basis
        if not np.isfinite(basis).all():
            row = int(np.argmax(~np.isfinite(basis).all(axis=1)))
            raise UserError(
                f"law {self.law.name!r} is infinite on row {row} (is its forward area zero?):"
                " leave out the rows before the first LR above zero"
            )

    def middle(self) -> Array:
        """Shape coordinates in the middle of their bounds."""
        middle: Array = (self.lower[self.n_linear :] + self.upper[self.n_linear :]) / 2
        return middle

    def subset(self, rows: Array | slice) -> "Problem":
        """The same problem (and the same bounds) on some of the rows."""
        part = object.__new__(Problem)
        part.__dict__.update(self.__dict__)
        part.x = {name: a[rows] for name, a in self.x.items()}
        part.loss = self.loss[rows]
        return part

    def shape(self, u: Array) -> dict[str, float]:
        """Shape parameters at coordinates u."""
        values = np.where(self.log, np.exp(np.where(self.log, u, 0.0)), u)
        return dict(zip(self.law.nonlinear, values.tolist(), strict=True))

    def columns(self, u: Array) -> Columns:
        """What the law is at shape coordinates u, but for its coefficients."""
        shape = self.shape(u)
        columns = self.law.basis(shape, self.x)
        at = np.abs(columns).argmax(axis=0)
        largest = np.abs(columns[at, np.arange(len(at))])
        largest[(largest == 0) | ~np.isfinite(largest)] = 1.0
        return Columns(columns / largest, largest, at, self.law.offset(shape, self.x))

    def slopes(self, u: Array, columns: Columns) -> list[tuple[int, int, Array]]:
        """Derivatives of `columns.basis` with respect to u: (coordinate, column, [n])."""
        shape, result = self.shape(u), []
        for name, j, slope in self.law.slopes(shape, self.x):
            i = self.law.nonlinear.index(name)
            slope = slope / columns.largest[j] * (shape[name] if self.log[i] else 1.0)
            at = columns.at[j]
            result.append((i, j, slope - columns.basis[:, j] * columns.basis[at, j] * slope[at]))
        return result

    def residuals(self, prediction: Array) -> tuple[Array, Array]:
        """Residuals [n] and the factor that turns changes of the prediction into changes of minus them."""
        if self.law.residual == "linear":
            return self.loss - prediction, np.ones_like(prediction)
        safe = np.maximum(prediction, FLOOR * self.loss)
        return np.log(self.loss / safe) - (prediction - safe) / safe, 1 / safe

    def objective(self, residual: Array) -> float:
        """Sum over rows of the Huber function."""
        return float(self.objectives(residual))

    def objectives(self, residuals: Array) -> Array:
        """`objective` of several predictions, [...], from their residuals [..., n]."""
        size = np.abs(residuals)
        inside = np.minimum(size, self.delta)
        return np.asarray(np.sum(inside * (size - inside / 2), axis=-1))

    def agreeing(self, values: list[float], tolerance: float = 0.01) -> int:
        """How many objectives are within `tolerance` of the smallest one (or as good as exact)."""
        exact = len(self.loss) * 1e-16
        return sum(value <= max(min(values) * (1 + tolerance), exact) for value in values)

    def influence(self, residual: Array) -> Array:
        """Derivative of the Huber function, [n]."""
        return np.clip(residual, -self.delta, self.delta)

    def evaluate(self, v: Array, columns: Columns | None = None) -> tuple[Array, Array]:
        """Residuals [n] and minus their Jacobian with respect to v, [n, p]; `columns`: those at v, where known."""
        q = self.n_linear
        c, u = v[:q], v[q:]
        columns = self.columns(u) if columns is None else columns
        residual, factor = self.residuals(columns.predict(c))
        jacobian = np.zeros((len(residual), len(v)))
        jacobian[:, :q] = columns.basis
        for i, j, slope in self.slopes(u, columns):
            jacobian[:, q + i] += c[j] * slope
        shape = self.shape(u)
        for name, slope in self.law.offset_slopes(shape, self.x):
            i = self.law.nonlinear.index(name)
            jacobian[:, q + i] += slope * (shape[name] if self.log[i] else 1.0)
        return residual, jacobian * factor[:, None]

    def value(self, v: Array) -> float:
        """The objective at v."""
        columns = self.columns(v[self.n_linear :])
        return self.objective(self.residuals(columns.predict(v[: self.n_linear]))[0])

    def gradient(self, v: Array) -> tuple[float, Array]:
        """The objective at v and its gradient, [p]."""
        residual, jacobian = self.evaluate(v)
        return self.objective(residual), -(self.influence(residual) @ jacobian)

    def optimality(self, v: Array) -> float:
        """Largest cosine between the residuals' influence and a direction that the bounds leave open.

        Zero at a minimum whatever the units; it does not rely on what an optimizer says of itself.
        """
        residual, jacobian = self.evaluate(v)
        influence = self.influence(residual)
        if np.sqrt(np.mean(residual**2)) < 1e-10:
            return 0.0
        lengths = np.linalg.norm(jacobian, axis=0) * np.linalg.norm(influence)
        uphill = influence @ jacobian / np.where(lengths > 0, lengths, 1.0)  # direction of descent
        blocked = self.blocked(v, uphill)
        return float(np.max(np.abs(np.where(blocked, 0.0, uphill)), initial=0.0))

    def blocked(self, v: Array, direction: Array) -> Mask:
        """Which coordinates lie on a bound that `direction` points out of."""
        low, high = self.on_bounds(v)
        return (low & (direction < 0)) | (high & (direction > 0))

    def on_bounds(self, v: Array) -> tuple[Mask, Mask]:
        """Which coordinates lie on their lower and on their upper bound."""
        width = np.where(np.isfinite(self.upper - self.lower), self.upper - self.lower, 1.0) * 1e-6
        return v <= self.lower + width, v >= self.upper - width

    def parameters(self, v: Array) -> dict[str, float]:
        """The law's parameters, in its own order and in the units of the features, at v."""
        u = v[self.n_linear :]
        largest = self.columns(u).largest
        linear = dict(zip(self.law.linear, (v[: self.n_linear] / largest).tolist(), strict=True))
        found = {**linear, **self.shape(u)}
        return {p.name: found[p.name] for p in self.law.parameters}

    def point(self, parameters: Mapping[str, float]) -> Array:
        """The coordinates of given parameters."""
        shape = np.array([parameters[name] for name in self.law.nonlinear])
        u = np.where(self.log, np.log(np.where(self.log, shape, 1.0)), shape)
        largest = self.columns(u).largest
        return np.concatenate([np.array([parameters[name] for name in self.law.linear]) * largest, u])


def spread(n: int, d: int) -> Array:
    """n points spread evenly over the unit cube (Roberts' additive recurrence), [n, d]."""
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (d + 1))
    steps = root ** -np.arange(1.0, d + 1)
    return np.asarray((0.5 + np.outer(np.arange(1, n + 1), steps)) % 1.0)
