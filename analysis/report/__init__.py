"""Report on a finished search as one HTML file, readable without network, server or scripts.

`document` collects plain values from the results folder, `render` inserts them into the templates. No results are
computed and no figures drawn: figures come from `cwola plot`.
"""

from analysis.report.document import ReportSources, report_context
from analysis.report.render import render_report, write_report

__all__ = ["ReportSources", "render_report", "report_context", "write_report"]
