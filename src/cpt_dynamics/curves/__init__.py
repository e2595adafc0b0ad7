"""Loss curves: the table that every fit and figure reads."""

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
