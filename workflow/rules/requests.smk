# How training jobs are started, and what they ask of a cluster: from the estimates of their branches.
import math
from functools import cache

from cpt_dynamics.experiments.estimates import estimate
from cpt_dynamics.planning.recommendations import WEIGHTS

PROCESSES = CONFIG.device.processes
LAUNCH = "cpt-dynamics"
if PROCESSES > 1:
    LAUNCH = f"torchrun --standalone --nproc-per-node {PROCESSES} -m cpt_dynamics"
GPUS = PROCESSES if HAS_GPU else 0
THREADS = PROCESSES * CONFIG.device.threads
MEMORY_MB = math.ceil(1000 * CONFIG.estimates.memory_gigabytes) * PROCESSES
# A killed job goes on from its last checkpoint. On a cluster each job runs Snakemake again, which must not retry, too.
RETRIES = 0 if workflow.remote_exec else 1
SHORTEST = 5  # minutes; a cluster can be slower by more than a factor in opening files for a short job


@cache
def estimated(branch):
    return checked(estimate, PLAN.branches[branch], CONFIG)


def requested(minutes, attempt):
    """Minutes to ask of a cluster. A job that was out of time goes on from its last checkpoint, with more of it."""
    return attempt * max(SHORTEST, math.ceil(CONFIG.estimates.time_factor * minutes))


def trial_minutes():
    """The most that the runs of a knob take: one for each weight, none longer than the longest branch of the figure."""
    needed = PLAN.needed(EXPERIMENTS.runs_of(trials.FIGURE))
    return len(WEIGHTS) * max(estimated(branch.id).minutes for branch in needed)


class Stated:
    """`{STATED:<branch>}` in a message is the estimate of that branch. As a parameter it would make branches train
    again whenever the estimates of the configuration change."""

    def __format__(self, branch):
        cost = estimated(branch)
        return (
            f"{cost.tokens:.3g} tokens, {cost.flops:.3g} FLOPs, {cost.device_hours:.3g} device hours, "
            f"{cost.checkpoints} checkpoints of {cost.checkpoint_bytes / 1e9:.3g} GB"
        )


STATED = Stated()
