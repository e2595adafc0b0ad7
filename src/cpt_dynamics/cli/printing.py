"""What `fit` says of a fit, as text; every number is from its JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cpt_dynamics.cli.log_options import sections
from cpt_dynamics.cli.text import bullets, error_table, indented, number, percent, table, together
from cpt_dynamics.laws import Law


def fit_lines(law: Law, result: Mapping[str, Any], runs: Sequence[str]) -> list[str]:
    """A fit in full; `runs` are those that reading notes may name."""
    known = {**result["parameters"], **result["held"]}
    return [
        *indented(f"law {law.name}: ", law.source),
        *indented("  loss = ", result["formula"]),
        *indented("       = ", law.formula(lambda name: number(known[name]))),
        *_data_lines(result),
        "",
        *_parameter_lines(law, result),
        "",
        *_search_lines(result),
        "",
        *error_table(_error_rows(result)),
        *_skill_lines(result["skill"]),
        "",
        *bullets(result["determined"]),
        *_profile_lines(result["profiles"]),
        *_sweep_lines(result),
        *choice_lines(result["choice"]),
        *sections(
            {
                "warnings": result["warnings"],
                "hints": result["hints"],
                "how the logs were read": together(result["notes"], runs),
            }
        ),
        "",
    ]


def choice_lines(choice: Mapping[str, Any] | None) -> list[str]:
    """The laws that were tried, the chosen one first."""
    if choice is None:
        return []
    rows = [
        (
            one["law"],
            str(one["parameters"]),
            "" if one["lambda"] is None else f"{one['lambda']:.5g}",
            number(one["objective"]),
            "-" if one["left_out"] is None else percent(one["left_out"]),
            "infinite" if one["condition"] is None else number(one["condition"], 2),
            one["out"] or "",
        )
        for one in choice["ranked"]
    ]
    head = ("law", "parameters", "lambda", "objective", "left out", "condition", "")
    return ["", *table(head, rows), "left out: mean error of curves predicted from the others, where these tell"]


def _skill_lines(skill: Mapping[str, Any]) -> list[str]:
    if "reason" in skill:
        return [f"skill: not defined, as {skill['reason']}"]
    share = number(skill["value"], 3)
    return [f"skill: {share}, the share of the error of {skill['baseline']} on CPT rows that this law removes"]


def _data_lines(result: Mapping[str, Any]) -> list[str]:
    rows, settings = result["rows"], result["settings"]
    early, shared = rows["left_out_early"], rows["left_out_shared"]
    left = [f"{early:,} of pre-training before step {result['first_step']:,}"] if early else []
    left += [f"{shared:,} that runs repeat"] if shared else []
    without = f"; without {' and '.join(left)}" if left else ""
    held = f"; held out: {', '.join(result['runs']['held_out'])}" if result["runs"]["held_out"] else ""
    momentum = f", momentum {'carries over' if settings['carry_over'] else 'restarts'} at the transfer"
    return bullets(
        [
            f"{len(result['runs']['fitted'])} runs, {rows['used']:,} losses of {result['validation']},"
            f" {rows['continual']:,} of them after a transfer{without}{held}",
            f"lambda {settings['lambda']:g}, warm-up of pre-training: {settings['warmup']}"
            + (momentum if rows["continual"] else ""),
        ]
    )


def _parameter_lines(law: Law, result: Mapping[str, Any]) -> list[str]:
    found = result["intervals"]
    ends = dict(end.split("=") for end in result["at_bounds"])
    meanings = {p.name: p.description for p in law.parameters}
    for name, end in ends.items():
        meanings[name] += f" (at its {end} bound)"
    meanings |= dict.fromkeys(result["held"], "fixed") | dict.fromkeys(result["combinations"], "combination")
    known = {**(found["parameters"] if found else {}), **(found["combinations"] if found else {})}
    rows = []
    for name, value in {**result["parameters"], **result["held"], **result["combinations"]}.items():
        interval, reason = _interval(known.get(name))
        rows.append([name, number(value), *([interval] if found else []), meanings[name] + reason])
    head = ["parameter", "value", *([f"{found['level']:.0%} interval"] if found else []), "meaning "]
    if not found:
        return [*table(head, rows), "no intervals: --intervals refits the law without each run to find them"]
    return [*table(head, rows), *_interval_lines(result)]


def _interval(found: Mapping[str, Any] | None) -> tuple[str, str]:
    """The interval, and what to say where there is none."""
    if found is None:
        return "-", ""
    if found["reason"]:
        return "none", f" ({found['reason']})"
    return f"{number(found['lower'], 3)} to {number(found['upper'], 3)}", ""


def _interval_lines(result: Mapping[str, Any]) -> list[str]:
    """What runs that were left out say about predictions."""
    found, left_out = result["intervals"], result["left_out"]
    rows = [
        (
            curve["group"],
            f"{curve['n_heldout']:,}",
            percent(curve["mean_error"]),
            percent(curve["worst_error"]),
            percent(curve["bias"]),
            percent(curve["end_error"]),
        )
        for curve in left_out["curves"]
    ]
    lines = ["", *table(("left out, predicted from the others", "rows", "mean", "worst", "bias", "end"), rows)]
    kinds = {"mean": "mean error of a curve", "end": "error at its end", "rows": "error of a single row"}
    for name, what in kinds.items():
        if found[name]["half_width"] is None:
            lines.append(f"no band for the {what}: no curve left out tells of the law")
            continue
        lines.append(f"{found[name]['level']:.0%} band for the {what}: ± {percent(found[name]['half_width'])}")
    untested = left_out["not_testable"]
    notes = [f"not testable, as other runs have all of its rows: {', '.join(untested)}"] if untested else []
    lines += bullets([*notes, *found["notes"]])
    seeds = result["seeds"]
    if seeds and not seeds["reason"]:
        means = [(name, number(one["estimate"]), _interval(one)[0]) for name, one in seeds["parameters"].items()]
        lines += ["", *table(("parameter", f"mean of {len(seeds['seeds'])} seeds", "interval"), means)]
    return lines


def _search_lines(result: Mapping[str, Any]) -> list[str]:
    state = "converged" if result["converged"] else "NOT converged"
    bounds = ", ".join(end.replace("=", " at its ") for end in result["at_bounds"]) or "none reached"
    return [
        f"objective {number(result['objective'])}: sum of Huber terms of log differences, delta {result['delta']:g}",
        f"{state} (optimality {result['optimality']:.1e}); {result['n_agree']} of {result['n_starts']} starts agree;"
        f" bounds: {bounds}; {result['cpu_seconds']:.1f} s",
    ]


def _error_rows(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    metrics = result["metrics"]
    rows = [("fitted, all rows", metrics["all"])]
    rows += [("fitted, after a transfer", metrics["continual"])] if metrics["continual"]["n"] else []
    for run, errors in result["held_out"].items():
        rows.append((f"held out: {run}", errors["all"]))
        if errors["unseen"]["n"] < errors["all"]["n"]:
            rows.append((f"held out: {run}, unseen rows", errors["unseen"]))
    return rows


def _profile_lines(profiles: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = []
    for found in profiles:
        low = "no limit" if found["lower_open"] else number(found["lower"])
        high = "no limit" if found["upper_open"] else number(found["upper"])
        span = f"{found['level']:.0%}: {low} to {high}"
        lines += ["", f"profile of {found['parameter']}: {number(found['estimate'])}, {span}"]
        lines += table(
            ("value", "objective"),
            [(number(point["value"]), number(point["objective"], 5)) for point in found["points"]],
            left=0,
        )
        lines += bullets(found["notes"])
    return lines


def _sweep_lines(result: Mapping[str, Any]) -> list[str]:
    if not result["lambda_sweep"]:
        return []
    rows = [
        (
            f"{one['lambda']:g}",
            number(one["objective"]),
            percent(one["metrics"]["all"].get("mean_relative_error")),
            percent(one["metrics"]["continual"].get("mean_relative_error")),
            "best" if one["best"] else "",
        )
        for one in result["lambda_sweep"]
    ]
    return [
        "",
        *table(("lambda", "objective", "mean error", "of CPT", ""), rows, left=0),
        f"the fit above has lambda {result['settings']['lambda']:g}; choose another with --lambda",
    ]
