"""Records as tables and pictures: Table 9's layout, the paper's figures beside ours."""

from pocketdet.benchmarks.report.comparable import Entry, check_comparable, read_entries
from pocketdet.benchmarks.report.tables import Table, make_tables
from pocketdet.benchmarks.report.write import write_report

__all__ = ["Entry", "Table", "check_comparable", "make_tables", "read_entries", "write_report"]
