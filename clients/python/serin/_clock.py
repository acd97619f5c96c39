"""Serin's clock, which the time of a report is on: not this machine's, and in a demo a faster one."""
from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Optional, Tuple


class Clock:
    """Known from the first answer that names it."""

    def __init__(self) -> None:
        self._known: Optional[Tuple[float, float, float]] = None

    def set(self, now: str, rate: float) -> None:
        """What an answer says: Serin's time, and its seconds that pass in a real one."""
        seconds = datetime.fromisoformat(now.replace("Z", "+00:00")).timestamp()
        self._known = (seconds, rate, time.monotonic())

    def at(self, moment: float) -> Optional[str]:
        """Serin's time at a moment of time.monotonic(), RFC 3339; None where its clock is not known yet."""
        if not self._known:
            return None
        now, rate, since = self._known
        then = datetime.fromtimestamp(now + (moment - since) * rate, timezone.utc)
        return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")
