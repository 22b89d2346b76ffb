"""When the strike may have current: while it is asked for, and while the heartbeat goes on.

Pure: it is told the levels and the time, and says what the relay should be. It runs under
MicroPython on the microcontroller, and under Python in the tests.

    relay on    only if the line from lockd asks for it, and was seen not to ask before;
                only after two beats in a row; only while the last one is no older than SILENCE_MS;
                never for longer than LONGEST_MS from when it was asked for, until it is asked anew
    a beat      the heartbeat's level changed, and no sooner than FASTEST_MS after it last did

A level that stands still is no beat, whichever it is. What changes faster than FASTEST_MS is hum
or noise, not lockd.
"""

SILENCE_MS = 500
LONGEST_MS = 65000
FASTEST_MS = 15
BEATS = 2


class Limit:
    """The decision, from one look at the lines to the next; the first one never releases."""

    def __init__(self, minus, silence_ms=SILENCE_MS, longest_ms=LONGEST_MS, fastest_ms=FASTEST_MS):
        """Begin locked.

        Args:
            minus: of two times in milliseconds, the first less the second; they may wrap around.
            silence_ms: how old the last beat may be.
            longest_ms: how long the relay may be on in one go.
            fastest_ms: the least time between two changes that are beats.
        """
        self._minus = minus
        self._silence_ms = silence_ms
        self._longest_ms = longest_ms
        self._fastest_ms = fastest_ms
        self._idle_seen = False
        self._spent = False
        self._asked_at = None
        self._level = None
        self._changed_at = None
        self._beats = 0

    def look(self, asked, level, now):
        """Return whether the strike may be released now.

        Args:
            asked: whether the line from lockd asks for it.
            level: of the heartbeat's line.
            now: in milliseconds.
        """
        self._count(level, now)
        if not asked:
            self._idle_seen, self._spent, self._asked_at = True, False, None
            return False
        if self._asked_at is None:
            self._asked_at = now
        if self._minus(now, self._asked_at) >= self._longest_ms:
            self._spent = True
        return self._idle_seen and not self._spent and self._beats >= BEATS

    def _count(self, level, now):
        """Count the beats in a row; none are left after a silence, or in noise."""
        since = None if self._changed_at is None else self._minus(now, self._changed_at)
        if since is not None and since > self._silence_ms:
            # Forgotten, or the times would have wrapped around by the next beat.
            self._changed_at, self._beats, since = None, 0, None
        if level == self._level:
            return
        first = self._level is None
        self._level = level
        if first:
            return
        fast = since is not None and since < self._fastest_ms
        self._beats = 0 if fast else min(self._beats + 1, BEATS)
        self._changed_at = now
