"""How commands print planned contrasts."""

from collections.abc import Mapping

from cpt_dynamics import claims
from cpt_dynamics.claims import contrasts
from cpt_dynamics.cli.text import indented, number
from cpt_dynamics.figures.contrasts.result import Contrast, Decision, Result

SETS = {"general": "D_pt", "strong": "D_cpt"}
SIGNS = {"below": "<", "above": ">", "within": "within +-"}
WIDTH = max(map(len, claims.WORDS)) + 2
NAMED = 4  # missing runs that are named


def lines(made: Mapping[str, Decision], found: Result | None) -> list[str]:
    """A few lines a contrast: word and claim, the effect on each loss, and what is missing; the counts at the end."""
    printed = [line for name, one in made.items() for line in _lines(one, contrasts.measured(name, found))]
    words = [one.word for one in made.values()]
    counted = ", ".join(f"{words.count(word)} {word}" for word in claims.WORDS if word in words)
    return [*printed, f"{len(made)} planned contrasts: {counted}"]


def _lines(made: Decision, found: Contrast) -> list[str]:
    printed = indented(f"{made.word:<{WIDTH}}", made.text)
    head = " " * (WIDTH + 2)
    for loss, effect in found.losses.items():
        judged = made.losses[loss]
        interval = "" if judged.low is None else f" ({number(judged.low, 3)} to {number(judged.high, 3)})"
        rival = "" if judged.rival is None else f"; best rival {number(judged.rival_effect, 3)} ({judged.rival})"
        wanted = f"wanted {SIGNS[made.expects]} {made.margin:g} {made.margin_in}"
        said = f"{SETS.get(loss, loss.replace('_', ' '))}: {number(effect.estimate, 3)}{interval}, {wanted}{rival}"
        printed += indented(head, said)
    if found.missing:
        more = f" and {len(found.missing) - NAMED} more" if len(found.missing) > NAMED else ""
        printed += indented(head, f"missing: {', '.join(found.missing[:NAMED])}{more}")
    return printed + (indented(head, f"because {found.reason}") if found.reason else [])
