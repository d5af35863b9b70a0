"""What decides whether a report is noise: warninglists, and suppression rules of one's own."""

from periscope.noise.calls import NoiseCalls
from periscope.noise.condition import Condition, read_where
from periscope.noise.index import Index, Warninglist
from periscope.noise.judge import Found, Judge, Verdict, fulfils
from periscope.noise.keeper import NoiseKeeper
from periscope.noise.rule import Rate, SuppressionRule, check_worth, checked_name, new_rule
from periscope.noise.warninglist import parse_list, read_lists

__all__ = [
    "Condition",
    "Found",
    "Index",
    "Judge",
    "NoiseCalls",
    "NoiseKeeper",
    "Rate",
    "SuppressionRule",
    "Verdict",
    "Warninglist",
    "check_worth",
    "checked_name",
    "fulfils",
    "new_rule",
    "parse_list",
    "read_lists",
    "read_where",
]
