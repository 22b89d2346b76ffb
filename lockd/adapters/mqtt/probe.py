"""Can the broker be used as configured?"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

import paho.mqtt.client as mqtt

from lockd.adapters.mqtt.client import MAX_PACKET, make_client, open_connection
from lockd.config import MqttSettings
from lockd.errors import BusError


def probe(settings: MqttSettings, *, timeout_s: float = 5.0) -> None:
    """Connect as the service would, under another client's name, and leave again.

    Args:
        settings: `host` must be set.
        timeout_s: for the connection, and again for the broker's answer.

    Raises:
        BusError: saying which step failed: name, connection, certificate or credentials.
    """
    name = f"{settings.client_id or 'lockd'}-doctor"
    client = make_client(
        settings, name, "3.1.1" if settings.protocol == "auto" else settings.protocol
    )
    client.connect_timeout = timeout_s
    answers: list[Any] = []
    client.on_connect = lambda _client, _data, _flags, reason, *_: answers.append(reason)
    where = f"{settings.host}:{settings.port}"
    try:
        open_connection(client, settings, max_packet=MAX_PACKET)
        deadline = time.monotonic() + timeout_s
        while not answers and time.monotonic() < deadline:
            if client.loop(0.1) not in (mqtt.MQTT_ERR_SUCCESS, mqtt.MQTT_ERR_AGAIN):
                break
    except (OSError, ValueError) as error:
        raise BusError(f"mqtt: {where}: {error}{_advice(error)}") from error
    finally:
        client.disconnect()
    if not answers:
        raise BusError(
            f"mqtt: {where}: connected, but no answer; is this a broker, and is mqtt.tls set as "
            "the broker wants it?"
        )
    if answers[0].is_failure:
        raise BusError(
            f"mqtt: {where}: refused: {answers[0]}; correct mqtt.username and mqtt.password_file, "
            "or the broker's list of users"
        )


def _advice(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "; set mqtt.tls.ca_file to the authority of the broker's certificate"
    if isinstance(error, ssl.SSLError | ConnectionResetError | TimeoutError):
        return "; does the broker listen there, and is mqtt.tls set as it wants it?"
    if isinstance(error, socket.gaierror):
        return "; correct mqtt.host, or the name server"
    return "; is the broker running, and are mqtt.host and mqtt.port right?"
