"""YAML to frozen, validated settings.

Every mistake is reported at once, each with its path, what was found and what would
be right. A key that lockd does not know is a mistake: a setting is never ignored in
silence. ``config/lockd.yaml`` shows every key.
"""

from __future__ import annotations

from lockd.config.access import AccessSettings
from lockd.config.camera import CameraSettings, InfraredSettings
from lockd.config.console import ConsoleSettings
from lockd.config.door import ControlSettings, DoorSettings
from lockd.config.files import find, load, parse
from lockd.config.mqtt import (
    AlertSettings,
    CommandName,
    CommandSettings,
    HomeAssistantSettings,
    MqttSettings,
    SnapshotSettings,
    TlsSettings,
)
from lockd.config.pins import (
    ContactSettings,
    DisplaySettings,
    ExitSettings,
    InputsSettings,
    LedSettings,
    RelaySettings,
    SignalsSettings,
    TamperSettings,
    VoiceSettings,
)
from lockd.config.recognition import QualitySettings, RecognitionSettings
from lockd.config.second_factor import SecondFactorSettings, UsbSettings, WiegandSettings
from lockd.config.settings import Settings
from lockd.config.sources import CSI_KINDS, ENCRYPTED, STREAM_SCHEMES, is_path
from lockd.config.store import StoreSettings

__all__ = [
    "CSI_KINDS",
    "ENCRYPTED",
    "STREAM_SCHEMES",
    "AccessSettings",
    "AlertSettings",
    "CameraSettings",
    "CommandName",
    "CommandSettings",
    "ConsoleSettings",
    "ContactSettings",
    "ControlSettings",
    "DisplaySettings",
    "DoorSettings",
    "ExitSettings",
    "HomeAssistantSettings",
    "InfraredSettings",
    "InputsSettings",
    "LedSettings",
    "MqttSettings",
    "QualitySettings",
    "RecognitionSettings",
    "RelaySettings",
    "SecondFactorSettings",
    "Settings",
    "SignalsSettings",
    "SnapshotSettings",
    "StoreSettings",
    "TamperSettings",
    "TlsSettings",
    "UsbSettings",
    "VoiceSettings",
    "WiegandSettings",
    "find",
    "is_path",
    "load",
    "parse",
]
