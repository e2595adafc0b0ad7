"""Which training of a branch another one started from, where there are several that differ in the last digits."""

from pathlib import Path

from cpt_dynamics.errors import UserError
from cpt_dynamics.layout import Layout
from cpt_dynamics.training.results import manifest_of


def trained_together(branches: list[str], layout: Layout) -> list[Path]:
    """Losses of branches each of which starts from the one before, such that no two trainings are joined into one run.

    A branch may have been trained several times, with checkpoints that differ in the last digits. The last one counts
    as it is here; before it stands the training that wrote the checkpoint which it started from, and so on. One that
    started from no checkpoint that is known, such as that of a kit that did not record it, goes with what is here.
    Raises `UserError` where the checkpoint is of none of the trainings that are known.
    """
    files = [layout.branch(branches[-1])]
    for parent in reversed(branches[:-1]):
        files.insert(0, parent_of(files[0], parent, layout))
    return files


def parent_of(losses: Path, parent: str, layout: Layout) -> Path:
    """Losses of the training of `parent` that wrote the checkpoint from which the branch of `losses` started."""
    here, started = layout.branch(parent), manifest_of(losses).started_from
    if started is None:
        return here
    known = [here, *layout.instances(parent)]
    written = {path: manifest_of(path).checkpoints.get(str(started.step)) for path in known}
    same = [path for path, checkpoint in written.items() if checkpoint == started.sha256]
    if not same and written[here] is not None:
        raise UserError(
            f"{losses} did not start from the training of {parent} that is here (its checkpoint of step {started.step}"
            f" is another): delete {losses} and train it again"
        )
    return same[0] if same else here  # one without that checkpoint: it started from an earlier one
