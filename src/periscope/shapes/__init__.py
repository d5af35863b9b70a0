"""What travels over HTTP, as types: the API is described by them, the client reads with them.

One file a noun. Times are RFC 3339 text and, in a field ending in `_ms`, integer milliseconds since
1970 (UTC). A document may gain fields; those that are here stay.
"""

from periscope.shapes.health import Standing
from periscope.shapes.problem import Problem
from periscope.shapes.reports import Rejected, ReportsTaken
from periscope.shapes.threats import ThreatDocument, ThreatPage

__all__ = ["Problem", "Rejected", "ReportsTaken", "Standing", "ThreatDocument", "ThreatPage"]
