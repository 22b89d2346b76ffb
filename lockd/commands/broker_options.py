"""The options by which a command finds the broker, with or without a configuration.

A password is never one of them: what is typed after a command, everybody on the machine can read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from lockd.config import MqttSettings, Settings, find, load
from lockd.console import config_option
from lockd.errors import BusError, ConfigError

TLS_PORT = 8883
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to connect.

    Attributes:
        settings: with a host.
        door: its id; None where no configuration and no option says which.
    """

    settings: MqttSettings
    door: str | None


def _file(name: str, what: str) -> Callable[[_Command], _Command]:
    return click.option(name, type=click.Path(path_type=Path, dir_okay=False), help=what)


_OPTIONS = (
    config_option,
    click.option("--host", help="The broker; then no configuration is read."),
    click.option("--port", type=click.IntRange(1, 65535), help="[1883, or 8883 with TLS]"),
    click.option("--user", help="The name to log in by."),
    _file("--password-file", "A file whose first line is the password."),
    click.option("--tls", is_flag=True, help="Encrypt, and trust this machine's authorities."),
    _file("--ca", "Encrypt, and trust this authority."),
    _file("--cert", "Your certificate, for a broker that asks for one."),
    _file("--key", "Its key."),
    click.option("--door", help="The door's id."),
    click.option("--base", help="What all topics begin with [lockd]."),
)


def broker_options(command: _Command) -> _Command:
    """Give a command these options, and as its argument `broker` what comes of them.

    Below `reported`, for mistakes in them are errors of lockd's.
    """

    @functools.wraps(command)
    def wrapper(
        config_file: Path | None,
        host: str | None,
        port: int | None,
        user: str | None,
        password_file: Path | None,
        tls: bool,
        ca: Path | None,
        cert: Path | None,
        key: Path | None,
        door: str | None,
        base: str | None,
        **others: Any,
    ) -> Any:
        configured = Settings() if host is not None else load(find(config_file))
        encryption = {"ca_file": ca, "cert_file": cert, "key_file": key}
        changes: dict[str, Any] = {
            "host": host,
            "port": port,
            "username": user,
            "password_file": password_file,
            "base_topic": base,
        }
        changes = {name: value for name, value in changes.items() if value is not None}
        given = {name: file for name, file in encryption.items() if file is not None}
        if tls or given:
            before = configured.mqtt.tls
            changes["tls"] = {**(before.model_dump() if before else {}), **given}
            if host is not None and port is None:
                changes["port"] = TLS_PORT
        settings = _settings(configured.mqtt, changes)
        here = configured.door.id if host is None else None
        return command(broker=Broker(settings, door or here), **others)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper  # type: ignore[return-value]


def _settings(before: MqttSettings, changes: dict[str, Any]) -> MqttSettings:
    """Return settings with some replaced, all of them checked as in a file."""
    try:
        settings = MqttSettings.model_validate({**before.model_dump(exclude_unset=True), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(["mqtt", *(str(one) for one in first["loc"])])
        raise ConfigError(f"{path}: {first['msg'].removeprefix('Value error, ')}") from None
    if settings.host is None:
        raise BusError("no broker: name one with --host, or a configuration that has mqtt.host")
    return settings
