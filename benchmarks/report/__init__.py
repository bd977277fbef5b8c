"""Reports: records as tables and plots in the layout of ThunderNet's Table 9, and comparisons of engines."""

from pocketdet.benchmarks.report.entries import (
    Entry,
    check_comparable,
    comparable_groups,
    latest_runs,
    read_entries,
)
from pocketdet.benchmarks.report.tables import Table, make_tables
from pocketdet.benchmarks.report.write import write_report

__all__ = [
    "Entry",
    "Table",
    "check_comparable",
    "comparable_groups",
    "latest_runs",
    "make_tables",
    "read_entries",
    "write_report",
]
