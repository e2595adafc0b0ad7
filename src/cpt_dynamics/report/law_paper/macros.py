"""What the text of the paper on the noise law says in numbers: a macro each."""

from collections.abc import Callable, Iterator, Sequence

from cpt_dynamics.figures.kit.latex import Cell, count, escape, number
from cpt_dynamics.figures.kit.latex import percent as unsigned
from cpt_dynamics.leaderboard.board import Row
from cpt_dynamics.leaderboard.fits import Fits, SplitFit
from cpt_dynamics.leaderboard.results import Results
from cpt_dynamics.leaderboard.scores import AUTO, LEVEL
from cpt_dynamics.leaderboard.uses import NOISE, RIVALS, USES, Tested, tested
from cpt_dynamics.report.macros import Macro, duration

SOURCE = "results.json"
FITS = "fits.json"
ERRORS = {"Mean": "mean", "Worst": "worst", "End": "end", "Bias": "bias"}
SETS = {
    "multi_power": "the Multi-Power set",
    "lr_scheduling": "the 124M set",
    "delphi": "Delphi",
    "cpu": "the kit's own curves",
}


def macros(results: Results, fits: Fits) -> list[Macro]:
    """Every macro."""
    tests = tested(results.scores)
    found = [*general(results, tests), *comparisons(tests)]
    for test in tests:
        found += of_test(test)
    return [*found, *failures(tests), *of_fits(tests, fits), *best_lr(fits)]


def switches(results: Results, fits: Fits) -> dict[str, bool]:
    """`\\ifHas<word>` for every test, and for what only some of them have."""
    tests = tested(results.scores)
    there = {test.name for test in tests}
    return {
        **{use.word: name in there for name, use in USES.items()},
        "Best": bool(fits.of("delphi_inside")),
        "Bands": any(one.mean_inside is not None for test in tests for one in test.of(NOISE)),
        "Regret": any(AUTO in test.rows for test in tests),
    }


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`; `none` of nothing."""
    if len(parts) < 2:
        return "".join(parts) or "none"
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def percent(fraction: float | None, decimals: int = 2) -> Cell:
    """A fraction as a percentage, with a minus of TeX, and without one before a zero."""
    if fraction is None:
        return unsigned(None)
    cell = unsigned(abs(fraction), decimals)
    below = round(100 * fraction, decimals) < 0
    return Cell(f"-{cell.text}", f"$-${cell.latex}") if below else cell


def general(results: Results, tests: Sequence[Tested]) -> list[Macro]:
    """What was run."""
    absent = [label for name, label in SETS.items() if name not in results.sets]
    there = {test.name for test in tests}
    absent += [
        use.label
        for name, use in USES.items()
        if name not in there and any(name.startswith(one) for one in results.sets)
    ]
    missing = (
        rf"\textbf{{This copy is without {listed(absent)}}}, whose curves were not there when it was made,"
        r" so what is said below of all tests is said of fewer."
    )
    return [
        Macro("KitVersion", escape(results.kit), f"{SOURCE}: kit"),
        Macro("SplitsVersion", str(results.splits), f"{SOURCE}: splits"),
        Macro("BenchmarkTime", duration(results.cpu_seconds), f"{SOURCE}: cpu_seconds"),
        Macro("MissingRule", missing if absent else "", SOURCE),
        Macro("SetsThere", listed([SETS.get(name, escape(name)) for name in results.sets]), SOURCE),
        Macro("Tests", str(len(tests)), SOURCE),
        Macro("OfOneModel", str(sum(name.startswith("lr_scheduling") for name in there)), SOURCE),
        Macro("InView", str(sum(test.use.in_view for test in tests)), "leaderboard/uses.py"),
        Macro("Splits", count(len({one.split for test in tests for one in test.scores})).latex, SOURCE),
        Macro("PredictedRuns", count(sum(len(test.of(NOISE)) for test in tests)).latex, SOURCE),
        Macro("Level", percent(LEVEL, 0).latex, "leaderboard/scores.py"),
    ]


def of_test(test: Tested) -> Iterator[Macro]:
    """`\\<word><role><error>`, and how many runs there are."""
    word = test.use.word
    yield Macro(f"{word}Runs", count(len(test.of(NOISE))).latex, SOURCE)
    yield Macro(f"{word}Entries", str(len(test.rows)), SOURCE)
    yield Macro(f"{word}Rank", str(test.place(NOISE)), SOURCE)
    for role in test.use.entries:
        if row := test.row(role):
            for name, column in ERRORS.items():
                source = f"{SOURCE}: {test.name}, {row.entry}, {column}"
                yield Macro(f"{word}{role}{name}", percent(getattr(row, column)).latex, source)
    if one_c := test.rows.get("cpt_one_c"):
        yield Macro(f"{word}OneCMean", percent(one_c.mean).latex, f"{SOURCE}: {test.name}, cpt_one_c, mean")
        yield Macro(f"{word}OneCEnd", percent(one_c.end).latex, f"{SOURCE}: {test.name}, cpt_one_c, end")
    if row := test.row(NOISE):
        yield Macro(f"{word}Side", "too high" if row.bias > 0 else "too low", f"{SOURCE}: {test.name}, bias")


def comparisons(tests: Sequence[Tested]) -> Iterator[Macro]:
    """`\\Against<role>` and `\\EndAgainst<role>`: on which tests the noise law's error is the smaller one.

    `\\Smaller<role>` and `\\EndSmaller<role>`: on how many of them, such as `3 of 4 tests`.
    """
    errors: dict[str, Callable[[Row], float]] = {"": lambda row: row.mean, "End": lambda row: row.end}
    for role, called in RIVALS.items():
        for prefix, error in errors.items():
            smaller, sentence = _against(tests, role, called, error)
            yield Macro(f"{prefix}Smaller{role}", smaller, SOURCE)
            yield Macro(f"{prefix}Against{role}", sentence, SOURCE)
    first = [test for test in tests if test.place(NOISE) == 1]
    yield Macro("FirstPlaces", str(len(first)), SOURCE)


def _against(tests: Sequence[Tested], role: str, called: str, error: Callable[[Row], float]) -> tuple[str, str]:
    pairs = [(test, mine, other) for test in tests if (mine := test.row(NOISE)) and (other := test.row(role))]
    if not pairs:
        return "no test", f"compared with that of {called} on no test"
    same = [test for test, mine, other in pairs if error(mine) == error(other)]
    larger = [
        f"{test.use.label} ({percent(error(mine)).latex} against {percent(error(other)).latex})"
        for test, mine, other in pairs
        if error(mine) > error(other)
    ]
    smaller = f"{len(pairs) - len(larger) - len(same)} of {len(pairs)} tests"
    sentence = f"smaller than that of {called} on {smaller}"
    sentence += f", the same on {len(same)}, where both are one fit" if same else ""
    return smaller, f"{sentence}; larger on {listed(larger)}" if larger else sentence


def failures(tests: Sequence[Tested]) -> Iterator[Macro]:
    """The largest errors, and what bands and the choice by rule are worth."""
    worst = max((one for test in tests for one in test.of(NOISE)), key=lambda one: one.worst)
    yield Macro("WorstRow", percent(worst.worst).latex, f"{SOURCE}: {worst.split}, {worst.run}, worst")
    label = next(test.use.label for test in tests if worst in test.of(NOISE))
    yield Macro("WorstRowRun", rf"\texttt{{{escape(worst.run)}}}, {label}", f"{SOURCE}: {worst.split}")
    low = [test.use.label for test in tests if (row := test.row(NOISE)) and row.bias < 0]
    yield Macro("TooLowAtEnd", f"{len(low)} of {len(tests)} tests", SOURCE)
    banded = [one for test in tests for one in test.of(NOISE) if one.mean_inside is not None]
    if banded:
        for name, inside in (
            ("MeansCovered", [one.mean_inside for one in banded]),
            ("EndsCovered", [one.end_inside for one in banded]),
        ):
            yield Macro(name, percent(sum(map(bool, inside)) / len(inside), 0).latex, f"{SOURCE}: {name}")
        rows = [one.rows_inside for one in banded if one.rows_inside is not None]
        yield Macro("RowsCovered", percent(sum(rows) / len(rows) if rows else None, 0).latex, f"{SOURCE}: rows_inside")
        yield Macro("BandedRuns", count(len(banded)).latex, SOURCE)
    regrets = {test.use.label: row.regret for test in tests if (row := test.rows.get(AUTO)) and row.regret is not None}
    if regrets:
        most = max(regrets, key=lambda label: regrets[label])
        yield Macro("Regret", percent(sum(regrets.values()) / len(regrets)).latex, f"{SOURCE}: auto, regret")
        yield Macro("RegretMost", f"{percent(regrets[most]).latex} ({most})", f"{SOURCE}: auto, regret")


def of_fits(tests: Sequence[Tested], fits: Fits) -> Iterator[Macro]:
    """What the fits say of the noise: its size at the highest LR, and how fast it follows."""
    sizes: dict[str, Callable[[SplitFit], float]] = {
        "Noise": lambda one: one.at_peak,
        "HalfWay": lambda one: one.half_way,
    }
    for test in tests:
        for name, size in sizes.items():
            values = [size(one) for one in fits.of(test.name)]
            if values:
                yield Macro(f"{test.use.word}Fit{name}", span(values).latex, f"{FITS}: {test.name}")
    drawn = shown(fits)
    yield Macro("DrawnRate", number(drawn.parameters["c"] * drawn.lr, 2).latex, f"{FITS}: {drawn.split}")
    yield Macro("DrawnSteps", count(drawn.steps).latex, f"{FITS}: {drawn.split}")
    yield Macro("DrawnFrom", rf"\texttt{{{escape(drawn.split)}}}", FITS)


def shown(fits: Fits) -> SplitFit:
    """The fit whose rate the figure of the law is drawn with."""
    return fits.fits[0]


def span(values: Sequence[float], digits: int = 2) -> Cell:
    """`a`, or `a to b`, to some digits."""
    low, high = _rounded(min(values), digits), _rounded(max(values), digits)
    return low if low == high else Cell(f"{low.text} to {high.text}", f"{low.latex} to {high.latex}")


def _rounded(value: float, digits: int) -> Cell:
    """To some digits, and without a power of ten where it is large."""
    return number(value, digits) if value < 10**digits else Cell(f"{float(f'{value:.{digits}g}'):,.0f}")


def best_lr(fits: Fits) -> Iterator[Macro]:
    """How often the run that the law says ends lowest does, where two peak LRs of several are fitted."""
    groups = fits.of("delphi_inside")
    if not groups:
        return
    found = [one.best for one in groups]
    right = sum(measured.run == predicted.run for measured, predicted, _ in found)
    inside = sum(measured.run == known.run for measured, _, known in found)
    regrets = [predicted.measured / measured.measured - 1 for measured, predicted, _ in found]
    passed = [known.measured / measured.measured - 1 for measured, _, known in found]
    source = f"{FITS}: delphi_inside, ends"
    yield Macro("BestGroups", str(len(groups)), source)
    yield Macro("BestRight", str(right), source)
    yield Macro("BestFitted", str(inside), source)
    often = "more" if right > inside else "less" if right < inside else "as"
    yield Macro("BestOften", f"{often} often {'as' if often == 'as' else 'than'}", source)
    yield Macro("BestRegret", percent(sum(regrets) / len(regrets)).latex, source)
    yield Macro("BestRegretMost", percent(max(regrets)).latex, source)
    yield Macro("BestFittedRegret", percent(sum(passed) / len(passed)).latex, source)
