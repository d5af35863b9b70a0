"""How fast and how well threats are dealt with; docs/reference/kpis.md publishes the formulas.

Layers: `lives` (what is looked at: threats and what was done to them) · `figures` (the formulas,
pure arithmetic) · `gathering` (from the store, the audit trail and the archive) · `kpis`.
"""

from periscope.kpis.figures import Bucket, Kpis, SourceRate, Spread
from periscope.kpis.kpis import document, kpis

__all__ = ["Bucket", "Kpis", "SourceRate", "Spread", "document", "kpis"]
