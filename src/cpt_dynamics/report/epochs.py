"""How often the runs read each corpus."""

from cpt_dynamics.figures.kit.latex import escape
from cpt_dynamics.report.material import Material

OFTEN = 4  # epochs, from which on repeated text is worth clearly less than new one (arXiv 2305.16264)
SHOWN = 6  # runs in a sentence


def sentences(material: Material) -> str:
    """The most epochs of each corpus in one run, and the runs that read one more than four times."""
    read: dict[str, dict[str, float]] = {}
    for manifest in material.manifests:
        for corpus, epochs in manifest.epochs.items():
            read.setdefault(corpus, {})[manifest.run] = epochs
    most = [
        rf"\texttt{{{escape(corpus)}}} {runs[run]:.2f} (\texttt{{{escape(run)}}}; {len(runs)} runs read it)"
        for corpus, runs in read.items()
        for run in [max(runs, key=runs.__getitem__)]
    ]
    often = [
        rf"\texttt{{{escape(run)}}} (\texttt{{{escape(corpus)}}}, {epochs:.1f})"
        for corpus, runs in read.items()
        for run, epochs in runs.items()
        if epochs > OFTEN
    ]
    more = f" and {len(often) - SHOWN} more" if len(often) > SHOWN else ""
    repeated = f"{', '.join(often[:SHOWN])}{more}" if often else "none"
    return f"Epochs of one run, at most: {'; '.join(most)}. Runs that read a corpus more than four times: {repeated}."
