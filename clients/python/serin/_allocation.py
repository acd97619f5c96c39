"""Capital that a side should hold, as its bot reads it."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional

from ._totals import Number


@dataclass(frozen=True)
class RollbackPlan:
    """What a side that is to hold less does with its open positions."""

    positions: str
    """CLOSE them, let them run out (REDUCE_ONLY), or leave them to the other side (HAND_OVER)."""
    max_slippage_bps: Optional[str]
    """The largest slippage to accept, in basis points; None: the bot's own limit."""
    deadline_seconds: Optional[int]
    """Seconds after which the allocation is overdue; None: the deadline of the settlement."""


@dataclass(frozen=True)
class Allocation:
    """Capital that the side should hold: the newest request, never one that has been replaced."""

    number: int
    """The number of the request."""
    cause: str
    """DEPLOY, STEP, PROMOTE, ROLLBACK, CANCEL, FAIL, or LEASE_EXPIRED."""
    capital_usd: str
    """What this side should hold now, USD, exact."""
    total_usd: str
    rollback_plan: Optional[RollbackPlan]
    """What to do with open positions where the side is to hold less; None where there is no plan, or more to hold."""
    final: bool
    """Whether it is the last one: the deployment has ended."""
    acknowledged: bool
    """Whether this side has answered it before, in an earlier run of the bot."""
    _answer: Callable[["Allocation", Optional[Number], Optional[Number]], Dict[str, Any]]

    def acknowledge(
        self, held_usd: Optional[Number] = None, open_exposure_usd: Optional[Number] = None
    ) -> Dict[str, Any]:
        """Tells Serin what the side holds now: all of it unless another amount is given. Sent until it is answered.

        open_exposure_usd: value of the positions that are open now, long and short added up. Where the plan is to CLOSE
        them and the side is to hold nothing, the allocation is settled only when this is 0.
        To say the same again changes nothing. Where another allocation comes first, the error is REPLACED: take that one.
        """
        return self._answer(self, held_usd, open_exposure_usd)
