"""The client of Serin for trading bots: reports, capital, feeds. Standard library only, Python 3.9 or newer."""
from ._allocation import Allocation, RollbackPlan
from ._client import Serin
from ._http import FeedRefused, SerinError, SerinUnavailable
from ._side import Side

__all__ = ["Allocation", "FeedRefused", "RollbackPlan", "Serin", "SerinError", "SerinUnavailable", "Side"]
