"""What an evaluation means for whoever owns the door, in a sentence. Pure.

Where few were measured, a rate says little and its interval much: so each number comes with the
most that it may be, 95 times of 100.
"""

from __future__ import annotations

import math

import numpy as np

from lockd.evaluation.calibration import Gauge
from lockd.evaluation.identification import Answered, Identification
from lockd.evaluation.intervals import Rate, wilson
from lockd.evaluation.metrics import Flags
from lockd.evaluation.verification import Verification

_OF = 1000
_FEW = 100


def open_set(door: Answered) -> str:
    """Return what single looks into the camera come to."""
    own = f"{_own(door.fnir)}, {_of(door.misnamed)} of them taken for somebody else"
    return (
        f"O{_strangers(door.fpir)[1:]}; {own} (FPIR {_figures(door.fpir)}, FNIR "
        f"{_figures(door.fnir)}). That is by single looks: a door asks for several that agree, "
        "and so lets in fewer strangers."
    )


def verification(found: Verification) -> str:
    """Return what comparing two photographs comes to at the door's threshold."""
    refused = found.tar.complement()
    return (
        f"Of 1,000 times that two people are compared, the door's threshold would take them for "
        f"one {_of(found.far)} times; of 1,000 times that somebody is compared with themselves, it "
        f"would not know them {_of(refused)} times (FAR {_figures(found.far)}, FNMR "
        f"{_figures(refused)})."
    )


def identification(found: Identification, rule: str) -> str:
    """Return what guessing the nearest person comes to."""
    wrong = found.top1[rule].complement()
    return (
        f"Of 1,000 visits of {found.people} people who are all enrolled, {_of(wrong)} would be "
        f"taken for somebody else, if the nearest were always believed (top-1 "
        f"{_figures(found.top1[rule])})."
    )


def calibration(gauged: Gauge, accept: float) -> str:
    """Return what a threshold means to strangers and to those enrolled.

    Without photographs of strangers, everybody enrolled stands for one before the door of the
    others.
    """
    others = gauged.strangers if len(gauged.strangers) else gauged.others
    let_in, refused = others >= accept, gauged.own < accept
    parts = ["of strangers nothing was measured", "of your people nothing was measured"]
    if len(others):
        visitors = len(gauged.strangers) or len(gauged.people)
        parts[0] = _strangers(_rate(let_in, visitors))
    if len(refused):
        parts[1] = _own(_rate(refused, gauged.several))
    few = min(len(others), len(refused)) < _FEW
    return (
        f"{parts[0]}; {parts[1]} (seen: {let_in.sum()} of {len(others)} looks of strangers, "
        f"{refused.sum()} of {len(refused)} of your people"
        f"{'; so few say little, more photographs say more' if few else ''})."
    )


def _strangers(rate: Rate) -> str:
    return f"of 1,000 strangers who look into the camera, {_of(rate)} would be let in"


def _own(rate: Rate) -> str:
    return f"of 1,000 visits of your people, {_of(rate)} would have to look twice"


def _of(rate: Rate) -> str:
    """How many of a thousand."""
    if not math.isfinite(rate.value):
        return "nobody knows how many"
    seen, most = round(_OF * rate.value), min(_OF, math.ceil(_OF * rate.high - 1e-9))
    if seen == 0:
        return f"at most {most:,}"
    return f"about {seen:,}" + (f" (at most {most:,})" if most > seen else "")


def _figures(rate: Rate) -> str:
    return f"{100 * rate.value:.2f} %"


def _rate(seen: Flags, attempts: int) -> Rate:
    """The rate of something seen, as sure as so many independent attempts make it."""
    value = float(np.mean(seen))
    return Rate(value, *wilson(value, attempts))
