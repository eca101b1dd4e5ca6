"""A finished search as one HTML file that reads without a network, a server or a script.

`document` gathers plain values from what is on disk, `render` puts them into the templates. Nothing is computed that
is not in the results folder, and nothing is drawn: figures are those of `cwola plot`.
"""

from analysis.report.document import ReportSources, report_context
from analysis.report.render import render_report, write_report

__all__ = ["ReportSources", "render_report", "report_context", "write_report"]
