"""Every check, in the order of the report."""

from __future__ import annotations

from lockd.doctor import camera, hardware, pins, service, software
from lockd.doctor.findings import Check

CHECKS = (
    Check("board", hardware.board),
    Check("power", hardware.power),
    Check("clock", hardware.clock),
    Check("python", software.python),
    Check("packages", software.packages),
    Check("configuration", software.configuration),
    Check("files", service.files),
    Check("user", service.user),
    Check("unit", service.unit, limit_s=25),
    Check("networks", software.networks, limit_s=120, apart=True),
    Check("camera", camera.camera, limit_s=90, apart=True),
    Check("pins", pins.pins, apart=True),
    Check("store", service.store, limit_s=30, apart=True),
    Check("broker", service.broker, limit_s=20, apart=True),
)
