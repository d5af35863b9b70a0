"""What happens, told to any number of listeners by one who follows it."""

from periscope.hub.following import follow
from periscope.hub.hub import EventHub
from periscope.hub.subscription import Ended, Subscription

__all__ = ["Ended", "EventHub", "Subscription", "follow"]
