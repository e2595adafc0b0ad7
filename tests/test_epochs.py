"""The report says how often the runs read each corpus."""

from types import SimpleNamespace
from typing import cast

from cpt_dynamics.report import epochs
from cpt_dynamics.report.material import Material

READ = {"a_run": {"prose": 3.04}, "scratch": {"code": 5.67, "prose": 0.5}, "other": {"code": 4.0}}


def said(read: dict[str, dict[str, float]]) -> str:
    manifests = [SimpleNamespace(run=run, epochs=seen) for run, seen in read.items()]
    return epochs.sentences(cast(Material, SimpleNamespace(manifests=manifests)))


def test_the_most_epochs_of_each_corpus_and_what_is_read_often() -> None:
    assert said(READ) == (
        r"Epochs of one run, at most: \texttt{prose} 3.04 (\texttt{a\_run}; 2 runs read it); \texttt{code} 5.67"
        r" (\texttt{scratch}; 2 runs read it). Runs that read a corpus more than four times: \texttt{scratch}"
        r" (\texttt{code}, 5.7)."
    )
    assert said({"other": READ["other"]}).endswith("more than four times: none.")
    many = {f"run{number}": {"code": 4.5 + number} for number in range(9)}
    assert said(many).endswith(r"\texttt{run5} (\texttt{code}, 9.5) and 3 more.")
