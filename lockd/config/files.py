"""From a file to settings, or to every mistake in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from lockd.config.camera import CameraSettings
from lockd.config.mistakes import explain, meant_as_text
from lockd.config.settings import Settings
from lockd.config.sources import is_path
from lockd.config.written import Written, why_no_yaml
from lockd.errors import ConfigError
from lockd.paths import CONFIG_VARIABLE, SYSTEM_CONFIG

SYSTEM_FILE = Path(SYSTEM_CONFIG)
_T = TypeVar("_T")
_Camera = TypeVar("_Camera", bound=CameraSettings)


def find(given: Path | None) -> Path | None:
    """Return the configuration file to read, or None for the defaults.

    The one given, else the one that ``$LOCKD_CONFIG`` names, else
    ``/etc/lockd/lockd.yaml`` if this machine has it.
    """
    if given is not None:
        return given
    if os.environ.get(CONFIG_VARIABLE):
        return Path(os.environ[CONFIG_VARIABLE])
    try:
        return SYSTEM_FILE if SYSTEM_FILE.exists() else None
    except PermissionError as error:
        raise ConfigError(
            f"{SYSTEM_FILE}: {error.strerror}; run the command as root or as the user lockd, "
            "or name another file with --config"
        ) from error


def load(path: Path | None) -> Settings:
    """Read a configuration file.

    Relative paths in it are taken from the file's own folder.

    Args:
        path: the YAML file, or None for the defaults.

    Raises:
        ConfigError: listing every mistake.
    """
    if path is None:
        return Settings()
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    settings = parse(text, str(path))
    folder = path.resolve().parent
    settings = _from_folder(settings, folder)
    camera = _source_from(settings.camera, folder)
    if camera.infrared is not None:
        camera = camera.model_copy(update={"infrared": _source_from(camera.infrared, folder)})
    return settings.model_copy(update={"camera": camera})


def _source_from(camera: _Camera, folder: Path) -> _Camera:
    """The same camera, where its source is a file named from the configuration's folder."""
    if not is_path(camera.source):
        return camera
    source = str(folder / Path(str(camera.source)).expanduser())
    return camera.model_copy(update={"source": source})


def parse(text: str, name: str = "configuration") -> Settings:
    """Validate a configuration's text.

    Args:
        text: YAML.
        name: of the file, for the error message.

    Raises:
        ConfigError: listing every mistake.
    """
    try:
        written = Written(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{name}: not YAML: {why_no_yaml(error, text)}") from None
    content = {} if written.value is None else written.value
    if not isinstance(content, dict):
        raise ConfigError(f"{name}: expected sections such as `door:`, found {written.shown(())}")
    # A section with nothing in it is an empty section: `tls:` alone must encrypt.
    content.update({key: {} for key, value in content.items() if value is None})
    mqtt = content.get("mqtt")
    if isinstance(mqtt, dict) and mqtt.get("tls", ...) is None:
        written_out = written.characters(("mqtt", "tls")) == "null"  # as `check-config` prints it
        mqtt["tls"] = None if written_out else {}
    try:
        return _validated(content, written)
    except ValidationError as error:
        lines = explain(error, written, Settings)
        listed = "\n".join(f"  {line}" for line in lines)
        mistakes = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        raise ConfigError(f"{name}: {mistakes}\n{listed}") from None


def _validated(content: dict[str, Any], written: Written) -> Settings:
    """Return the settings; a text that looks like a number is taken as it is written."""
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        texts = meant_as_text(error, written)
        if not texts:
            raise
    for path in texts:
        written.as_text(path)
    return Settings.model_validate(content)


def _from_folder(value: _T, folder: Path) -> _T:
    """Settings whose relative paths are taken from a folder."""
    if not isinstance(value, BaseModel):
        return value
    changed: dict[str, Any] = {}
    for name in type(value).model_fields:
        inner = getattr(value, name)
        if isinstance(inner, Path):
            changed[name] = folder / inner.expanduser()
        elif isinstance(inner, BaseModel):
            changed[name] = _from_folder(inner, folder)
    return value.model_copy(update=changed)
