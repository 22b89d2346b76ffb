"""Every check, in the order of the report."""

from __future__ import annotations

from lockd.commands.doctor import (
    broker,
    camera,
    commands,
    console,
    display,
    hardware,
    liveness,
    network,
    pins,
    second_factor,
    service,
    software,
    voice,
)
from lockd.commands.doctor.findings import Check

# Generous limits: a small board takes ten seconds to start Python and import what a check needs.
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
    Check("network", network.network, limit_s=45),
    Check("networks", software.networks, limit_s=180, apart=True),
    Check("camera", camera.camera, limit_s=120, apart=True),
    Check("pins", pins.pins, limit_s=60, apart=True),
    Check("voice", voice.voice, limit_s=30),
    Check("display", display.display, limit_s=30, apart=True),
    Check("liveness", liveness.liveness),
    Check("second factor", second_factor.second_factor, limit_s=60, apart=True),
    Check("store", service.store, limit_s=60, apart=True),
    Check("broker", broker.broker, limit_s=60, apart=True),
    Check("commands", commands.commands),
    Check("console", console.console),
)
