"""The report says how often the runs read each corpus."""

from typing import Any

from cpt_dynamics.reporting import epochs

READ = {"a_run": {"prose": 3.04}, "scratch": {"code": 5.67, "prose": 0.5}, "other": {"code": 4.0}}


class Manifests:
    def __init__(self, read: dict[str, dict[str, float]]) -> None:
        self.found = [{"run": run, "epochs": seen} for run, seen in read.items()]

    def of_manifests(self, key: str) -> list[Any]:
        return [one[key] for one in self.found]


def said(read: dict[str, dict[str, float]]) -> str:
    return epochs.sentences(Manifests(read))  # type: ignore[arg-type]


def test_the_most_epochs_of_each_corpus_and_what_is_read_often() -> None:
    assert said(READ) == (
        r"Epochs of one run, at most: \texttt{prose} 3.04 (\texttt{a\_run}; 2 runs read it); \texttt{code} 5.67"
        r" (\texttt{scratch}; 2 runs read it). Runs that read a corpus more than four times: \texttt{scratch}"
        r" (\texttt{code}, 5.7)."
    )
    assert said({"other": READ["other"]}).endswith("more than four times: none.")
    many = {f"run{number}": {"code": 4.5 + number} for number in range(9)}
    assert said(many).endswith(r"\texttt{run5} (\texttt{code}, 9.5) and 3 more.")
