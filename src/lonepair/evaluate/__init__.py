"""What runs are worth: each measured by the metrics, as a table, as numbers in JSON, and as a page with pictures."""

from lonepair.evaluate.measure import Part as Part
from lonepair.evaluate.measure import Row as Row
from lonepair.evaluate.measure import Wanted as Wanted
from lonepair.evaluate.measure import measure as measure
from lonepair.evaluate.runs import Run as Run
from lonepair.evaluate.runs import open_run as open_run
from lonepair.evaluate.write import text_table as text_table
from lonepair.evaluate.write import write_report as write_report
