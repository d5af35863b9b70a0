"""Which threats are known, answered here where that is certain: a filter that follows the store."""

from periscope.membership.membership import Membership
from periscope.membership.status import FilterState, MembershipStatus, Seen

__all__ = ["FilterState", "Membership", "MembershipStatus", "Seen"]
