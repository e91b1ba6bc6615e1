"""Keep the time of an endpoint's outage: when it began, whether it lasts too long."""

from __future__ import annotations

import logging

from w4s.errors import EndpointError
from w4s.llm.faults import Fault
from w4s.llm.rate import Clock

_LOG_EVERY_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Outage:
    """Begins with a call that cannot be served, ends with one that is answered."""

    def __init__(self, longest_seconds: float, *, clock: Clock) -> None:
        self._longest_seconds = longest_seconds
        self._clock = clock
        self._since: float | None = None
        self._said = 0.0
        self.unreached = False

    def goes_on(self, fault: Fault, *, where: str) -> None:
        """Count a call that could not be served.

        Raises EndpointError where the endpoint has been down, or asks to wait, for too long.
        """
        now = self._clock()
        if self._since is None:
            self._since, self._said = now, now - _LOG_EVERY_SECONDS + 1.0
        self.unreached = self.unreached or fault.status is None
        down = now - self._since
        wait = fault.retry_after_seconds or 0.0
        if max(down, wait) >= self._longest_seconds:
            asks = f" and asks to wait {wait:g} s" if wait >= self._longest_seconds else ""
            raise EndpointError(
                f"The endpoint {where} has not answered for {down:.0f} s{asks} "
                f"(executor.outage_seconds: {self._longest_seconds:g}). Last: {fault.text}. "
                "Every reply so far is kept; start again when the endpoint is back."
            )
        if now - self._said >= _LOG_EVERY_SECONDS:
            self._said = now
            logger.warning(
                "The endpoint %s does not answer (%s); waiting, %.0f of at most %g seconds",
                where,
                fault.text,
                down,
                self._longest_seconds,
            )

    def ended(self) -> bool:
        """Count an answer. Returns whether an endpoint that was unreachable is back."""
        if self._since is None:
            return False
        seconds, was_unreached = self._clock() - self._since, self.unreached
        self._since, self.unreached = None, False
        if seconds >= _LOG_EVERY_SECONDS:
            logger.warning("The endpoint answers again after %.0f seconds", seconds)
        return was_unreached
