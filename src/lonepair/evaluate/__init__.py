"""Evaluation of runs: metrics as a table, as numbers in JSON, and as a page with pictures."""

from lonepair.evaluate.measure import EvaluationOptions as EvaluationOptions
from lonepair.evaluate.measure import MetricRow as MetricRow
from lonepair.evaluate.measure import ReportSection as ReportSection
from lonepair.evaluate.measure import measure_run as measure_run
from lonepair.evaluate.runs import Run as Run
from lonepair.evaluate.runs import open_run as open_run
from lonepair.evaluate.write import text_table as text_table
from lonepair.evaluate.write import write_report as write_report
