"""Loss curves: the table that every fit and figure reads."""

from typing import Any

from cpt_dynamics.curves.measurements import unique_measurements
from cpt_dynamics.curves.table import (
    AREA_COLUMNS,
    CURVE_COLUMNS,
    CURVES_SCHEMA,
    SCHEDULE_COLUMNS,
    SCHEDULES_SCHEMA,
    check_curves,
    check_pair,
    check_schedules,
    features,
    read,
    read_runs,
    read_schedules,
    schedules_path,
    write,
    write_schedules,
)

__all__ = [
    "AREA_COLUMNS",
    "CURVES_SCHEMA",
    "CURVE_COLUMNS",
    "SCHEDULES_SCHEMA",
    "SCHEDULE_COLUMNS",
    "check_curves",
    "check_pair",
    "check_schedules",
    "features",
    "read",
    "read_runs",
    "read_schedules",
    "schedules_path",
    "unique_measurements",
    "write",
    "write_schedules",
]


def __getattr__(name: str) -> Any:
    """The readers of logs, which stood here, for one release."""
    if name in ("Log", "merge_logs", "read_log", "read_logs"):
        import warnings

        from cpt_dynamics import logs

        warnings.warn(f"cpt_dynamics.curves.{name} is now cpt_dynamics.logs.{name}", DeprecationWarning, stacklevel=2)
        return getattr(logs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
