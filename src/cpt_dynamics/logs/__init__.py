"""Loss logs of anyone's runs: readers, schedules that a person types, and a Trainer callback (`logs.callback`)."""

from cpt_dynamics.logs.expressions import Expression, parse
from cpt_dynamics.logs.formats import Format
from cpt_dynamics.logs.reading import Unit, merge_logs, read_log, read_logs
from cpt_dynamics.logs.runs import Log

__all__ = ["Expression", "Format", "Log", "Unit", "merge_logs", "parse", "read_log", "read_logs"]
