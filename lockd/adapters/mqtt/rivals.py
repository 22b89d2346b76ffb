"""Two clients of one id throw each other off the broker, for ever. This tells, and gives way.

Under version 5 a broker may say so. Most only hang up; several times in a row, each soon after
they had let the door in, it is likely. Then the door goes on under another id, which costs nothing
if the network was to blame after all. Where the broker takes no other, the door comes back ever
less often.
"""

from __future__ import annotations

import secrets

from lockd.clock import Backoff

_TAKEN_OVER = "Session taken over"
_HUNG_UP = "Unspecified error"
_SOON_S = 60.0
_ENOUGH = 3
_TRUCE_S = 600.0
_FIRST_S, _LONGEST_S = 30.0, 300.0
_CURE = (
    "another client with the id {id} connects to the broker, and each ends the other's "
    "connection; give every door a door.id of its own, or an mqtt.client_id"
)


class Rivals:
    """Watches how sessions end.

    Attributes:
        client_id: to connect with next.
        problem: what to do about the last sessions, or None if there is nothing.
    """

    def __init__(self, client_id: str) -> None:
        self._own = client_id
        self._short = 0
        self._no_other = False
        self._waits = Backoff(_FIRST_S, _LONGEST_S)
        self.client_id = client_id
        self.problem: str | None = None

    def ended(self, reason: str, lasted_s: float, *, let_in: bool, heavy: bool) -> float | None:
        """Note how a session ended.

        Args:
            reason: in the broker's or paho's words; empty if nobody answered.
            lasted_s: how long it lasted.
            let_in: whether the broker had accepted it.
            heavy: whether a message was the cause.

        Returns:
            How long to stay away so that there is no fight; None for the usual wait.
        """
        if self.client_id != self._own:
            return self._truce_ended(reason, lasted_s, let_in=let_in)
        if lasted_s >= _SOON_S:
            self._short, self.problem = 0, None
        if reason == _TAKEN_OVER:
            self._short += 2
        elif let_in and reason == _HUNG_UP and lasted_s < _SOON_S and not heavy:
            self._short += 1
        else:
            return None
        return self._judge(certain=reason == _TAKEN_OVER)

    def settled(self, lasted_s: float) -> None:
        """Note how long the session that goes on has lasted."""
        if lasted_s >= _SOON_S and self.client_id == self._own:
            self.problem = None

    def _judge(self, *, certain: bool) -> float | None:
        cure = _CURE.format(id=self._own)
        if self._short < _ENOUGH:
            self.problem = cure if certain else None
            return None
        self.problem = cure if certain else f"it hangs up again and again: perhaps {cure}"
        if self._no_other:
            return self._waits.next()
        self.client_id = f"{self._own}-{secrets.token_hex(3)}"
        self.problem += f"; meanwhile this one calls itself {self.client_id}"
        return None

    def _truce_ended(self, reason: str, lasted_s: float, *, let_in: bool) -> float | None:
        """A session under another id ended: go on so, unless it is time to look, or forbidden."""
        refused = bool(reason) and not let_in
        if not refused and lasted_s < _TRUCE_S:
            return None
        self.client_id, self._short, self._no_other = self._own, 0, refused
        return self._waits.next() if refused else None
