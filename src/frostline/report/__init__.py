"""The HTML report; arranges what it is given."""

from frostline.report.data import ReportData
from frostline.report.record import load_record, save_record
from frostline.report.write import write_report

__all__ = ["ReportData", "load_record", "save_record", "write_report"]
