"""A paho client as the settings want it: credentials, certificates, protocol."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeAlias

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lockd.adapters.mqtt.bounded import BoundedClient
from lockd.config import MqttSettings
from lockd.errors import BusError
from lockd.paths import credential

Protocol: TypeAlias = Literal["5", "3.1.1"]
CREDENTIAL = "mqtt-password"
"""The systemd credential that holds the password where no file is named."""
MAX_PACKET = BoundedClient.max_packet
"""Bytes; a broker of version 5 keeps anything larger to itself."""
_MAX_QUEUED = 500


def make_client(settings: MqttSettings, client_id: str, protocol: Protocol) -> BoundedClient:
    """Make a client that neither connects nor tries again by itself.

    A session ends with its connection: what was published meanwhile is not for it.

    Args:
        client_id: unique on the broker.
        protocol: version to speak.

    Raises:
        BusError: if the password or a certificate cannot be read.
    """
    five = protocol == "5"
    client = BoundedClient(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=mqtt.MQTTv5 if five else mqtt.MQTTv311,
        clean_session=None if five else True,
        reconnect_on_failure=False,
    )
    client.max_queued_messages_set(_MAX_QUEUED)
    if settings.username is not None:
        client.username_pw_set(settings.username, _password(settings))
    if settings.tls is not None:
        _encrypt(client, settings)
    return client


def open_connection(client: BoundedClient, settings: MqttSettings, *, max_packet: int) -> None:
    """Connect and ask for a session; waits for the connection, not for the answer.

    Args:
        settings: `host` must be set.
        max_packet: bytes; a message that is longer does not arrive whole.

    Raises:
        OSError: if the broker cannot be reached, or its certificate is not right.
    """
    client.max_packet = max_packet
    host, port, keepalive_s = str(settings.host), settings.port, settings.keepalive_s
    if client.protocol != mqtt.MQTTv5:
        client.connect(host, port, keepalive_s)
        return
    wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    wishes.MaximumPacketSize = max_packet
    client.connect(host, port, keepalive_s, clean_start=True, properties=wishes)


def let_go(client: BoundedClient) -> None:
    """Make a client forget who listens to it, so that its sockets close as soon as it is gone.

    Otherwise it and its listeners hold each other until Python looks for such circles.
    """
    client.on_connect = client.on_disconnect = client.on_publish = client.on_message = None
    client.on_arrival = None


def expiring(client: mqtt.Client, seconds: float | None) -> Properties | None:
    """Return the properties of a message that the broker shall forget after some time.

    None, so that it keeps it, without a time or under 3.1.1, which knows of no such thing.
    """
    if seconds is None or client.protocol != mqtt.MQTTv5:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = max(1, round(seconds))
    return properties


def password_file(settings: MqttSettings) -> Path | None:
    """Return where the password is: the file named, else the systemd credential, or nowhere."""
    if settings.password_file is not None or settings.username is None:
        return settings.password_file
    return credential(CREDENTIAL)


def _password(settings: MqttSettings) -> str | None:
    file = password_file(settings)
    if file is None:
        return None
    try:
        return file.read_text("utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise BusError(f"mqtt.password_file: {file}: {reason}") from None


def _encrypt(client: mqtt.Client, settings: MqttSettings) -> None:
    tls = settings.tls
    assert tls is not None  # noqa: S101
    for name, file in tls:
        if file is not None and not os.access(file, os.R_OK):
            reason = "this user may not read it" if file.exists() else "No such file or directory"
            raise BusError(f"mqtt.tls.{name}: {file}: {reason}")
    ca_file, cert_file, key_file = (
        None if one is None else str(one) for one in (tls.ca_file, tls.cert_file, tls.key_file)
    )
    try:
        client.tls_set(ca_certs=ca_file, certfile=cert_file, keyfile=key_file)
    except (OSError, ValueError) as error:
        files = ", ".join(one for one in (ca_file, cert_file, key_file) if one)
        raise BusError(
            f"mqtt.tls: {files}: {error}; are these PEM files that belong together?"
        ) from error
