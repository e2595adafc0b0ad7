"""Training in short slots on machines that may start empty: stages of a plan, bundles that travel there and back.

`plan` cuts what is not done into stages, `finished` says what is done, `train` trains a stage on the other machine, and
`assemble` takes its results home. Only the commands `campaign` and `bundle` need more of this room.
"""

from cpt_dynamics.slots.campaign import assemble, train
from cpt_dynamics.slots.campaign import stages as plan
from cpt_dynamics.training.results import finished

__all__ = ["assemble", "finished", "plan", "train"]
