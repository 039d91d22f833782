"""The HTML report; arranges what it is given."""

from frostline.report.data import ReportData
from frostline.report.write import write_report

__all__ = ["ReportData", "write_report"]
