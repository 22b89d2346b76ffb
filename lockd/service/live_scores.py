"""The scores of this door's live visits: learnt, kept, and watched.

An attacker must not be able to train the door. So only those visits count whose challenge was
passed while everybody was challenged, and those that came while an administrator vouched for
whoever came. What opened silently teaches nothing: it only tells whether the scores have moved.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from typing import Any

from lockd.adapters.store import Store
from lockd.errors import StoreError
from lockd.identity.liveness import LEAST_SCORES, MOST_RECENT, Bounds, Calibration, Standing
from lockd.service.store_writer import StoreWriter

log = logging.getLogger(__name__)

_MOST_SCORES = 1000
_WRITE_EVERY_S = 60.0
LONGEST_VOUCH_S = 8 * 3600.0


class LiveScores:
    """What is known of the network's scores at this door.

    Attributes:
        fingerprint: of the networks that they come from.
        calibration: what scores are compared with.
    """

    def __init__(self, fingerprint: str) -> None:
        """Know nothing yet.

        Args:
            fingerprint: of the networks: the scores of others are of no use.
        """
        self.fingerprint = fingerprint
        self._read = False
        self._sample: list[float] = []
        self._recent: deque[float] = deque(maxlen=MOST_RECENT)
        self._vouched_until = -math.inf
        self._written = True
        self._write_at = -math.inf
        self.calibration = Calibration()

    @property
    def problem(self) -> str | None:
        """What somebody should do about them, or None."""
        if self.calibration.moved(tuple(self._recent)):
            return (
                "the liveness scores of late are not those this door was calibrated with; "
                "if the camera or the light was changed: lockd liveness calibrate"
            )
        return None

    def standing(self, score: float, bounds: Bounds, now: float) -> Standing:
        """Say what a visit's score is worth; while this door is calibrated anew, nothing."""
        if now < self._vouched_until:
            return Standing.UNKNOWN
        return self.calibration.standing(score, bounds)

    def passed(self, score: float, now: float) -> None:
        """Learn from a visit that passed a challenge which was asked of everybody."""
        if not self.calibration.complete:
            self._learn(score, now)

    def came(self, score: float, now: float) -> None:
        """Take note of a visit of somebody recognised, of which nothing else is known."""
        if now < self._vouched_until:
            self._learn(score, now)

    def let_in(self, score: float) -> None:
        """Take note of a visit that ended with an open door."""
        if math.isfinite(score):
            self._recent.append(score)
            self._written = False

    def vouch(self, seconds: float, now: float) -> None:
        """Take everybody recognised for live from now on, and begin a new calibration.

        Nobody is let in silently meanwhile. The one before counts again afterwards, unless the
        new one is complete.
        """
        if self.calibration.complete:
            self._sample = []
        self._vouched_until = now + min(seconds, LONGEST_VOUCH_S)

    def reset(self) -> None:
        """Forget everything."""
        self._sample, self.calibration = [], Calibration()
        self._recent.clear()
        self._vouched_until = -math.inf
        self._written, self._write_at = False, -math.inf

    def status(self, bounds: Bounds, now: float) -> dict[str, Any]:
        """Return what an administrator wants to know."""
        known = self.calibration
        shares = sorted({bounds.refuse_below, 0.1, 0.25, 0.5, 0.75, 0.9, bounds.open_above})
        quantiles = {
            f"{share:g}": round(known.quantile(share), 3) for share in shares if known.complete
        }
        return {
            "calibrated": known.complete,
            "scores": len(self._sample),
            "needed": LEAST_SCORES,
            "quantiles": quantiles,
            "recent": len(self._recent),
            "moved": known.moved(tuple(self._recent)),
            "vouching_s": round(max(0.0, self._vouched_until - now)),
        }

    def serve(self, store: Store | None, now: float, writer: StoreWriter | None = None) -> None:
        """Read what was kept as soon as that can be done, and now and then keep what is new.

        Args:
            store: where it is kept, None while there is none.
            writer: writes it there; without one that is done, and waited for, here.
        """
        if store is None:
            return
        if not self._read:
            self._read = True
            self._recall(store)
        if not self._written and store.writable and now >= self._write_at:
            self._write_at = now + _WRITE_EVERY_S
            self._keep(store, writer)

    def close(self, store: Store | None, writer: StoreWriter | None = None) -> None:
        """Keep what is new."""
        if store is not None and store.writable and not self._written:
            self._keep(store, writer)

    def _learn(self, score: float, now: float) -> None:
        if not math.isfinite(score) or len(self._sample) >= _MOST_SCORES:
            return
        self._sample.append(score)
        if len(self._sample) >= LEAST_SCORES:
            self.calibration = Calibration(tuple(self._sample))
        if len(self._sample) == LEAST_SCORES:
            log.info("liveness: calibrated with %d visits", LEAST_SCORES)
            self._recent.clear()
        self._written = False

    def _keep(self, store: Store, writer: StoreWriter | None) -> None:
        values = {
            "networks": self.fingerprint,
            "scores": self.calibration.scores,
            "sample": self._sample,
            "recent": list(self._recent),
        }
        self._written = True
        if writer is not None:
            writer.submit(lambda other: other.liveness.keep(values), self._kept)
            return
        try:
            store.liveness.keep(values)
        except StoreError as error:
            self._kept(None, error)

    def _kept(self, _: None, error: StoreError | None) -> None:
        if error is not None:
            self._written = False
            log.error("%s; the calibration of liveness is not kept", error)

    def _recall(self, store: Store) -> None:
        try:
            values = store.liveness.kept() or {}
            if values and values["networks"] != self.fingerprint:
                log.warning("liveness: calibrated with other networks, so not calibrated")
                return
            scores, sample, recent = (
                [float(one) for one in values.get(name, ()) if math.isfinite(one)]
                for name in ("scores", "sample", "recent")
            )
        except (StoreError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("%s; the calibration of liveness cannot be read", error)
            return
        self.calibration = Calibration(tuple(scores))
        # What was learnt before the store could be read counts, too.
        self._sample = sample + self._sample
        self._recent.extend(recent)
