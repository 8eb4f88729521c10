"""The report of a run: report.json, and report.html, which shows the same figures with plots and photos. Internal."""

from linnet_train.report.metrics import classification_metrics
from linnet_train.report.write import Trained, write_report

__all__ = ["Trained", "classification_metrics", "write_report"]
