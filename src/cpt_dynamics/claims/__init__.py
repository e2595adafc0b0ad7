"""Where verdicts are decided: `config/claims.yaml` states every bound, `verdicts` compares it with the results."""

from cpt_dynamics.claims.file import CLAIMS, Claim, Claims, Criterion, load
from cpt_dynamics.claims.verdicts import WORDS, Outcome, Verdict, Word, counts, evaluate, to_json

__all__ = [
    "CLAIMS",
    "WORDS",
    "Claim",
    "Claims",
    "Criterion",
    "Outcome",
    "Verdict",
    "Word",
    "counts",
    "evaluate",
    "load",
    "to_json",
]
