"""Whether the door has its people with other doors together."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lockd.config.base import Section
from lockd.config.mqtt import TopicName


class FleetSettings(Section):
    """Whether the door has its people with other doors together, through the broker."""

    enabled: bool = False
    base_topic: TopicName = "lockd-fleet"
    """What its topics begin with; the same at every door."""
    keep_gone_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """How long the broker keeps that somebody was removed, once every door knows."""
