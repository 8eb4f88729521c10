"""The report of a run: report.json, and report.html, which shows the same with plots and pictures."""

from linnet_train.report.metrics import classification_metrics
from linnet_train.report.write import PAGE, REPORT, Trained, write_report

__all__ = ["PAGE", "REPORT", "Trained", "classification_metrics", "write_report"]
