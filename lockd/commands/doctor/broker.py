"""The broker: does it let the door in, may the door do there what it needs, and for how long?"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509

from lockd.adapters.mqtt.client import CREDENTIAL, password_file
from lockd.adapters.mqtt.visitor import Visitor
from lockd.commands.doctor.broker_trials import namesake, nobodys_result, size
from lockd.commands.doctor.findings import Finding, Machine, ok, problem, skipped, warning
from lockd.config import MqttSettings, Settings
from lockd.errors import BusError
from lockd.messages import Topics
from lockd.paths import UNIT
from lockd.service.remote_commands import subscriptions

_SOON_DAYS = 30
_LOCAL = ("localhost", "127.0.0.1", "::1")
_RENEW = "`lockd broker-setup --out FOLDER --renew-certificate`, or ask whoever made it"


def broker(machine: Machine) -> list[Finding]:
    """Connect with the service's credentials, under another client's name, and try its rights."""
    settings = machine.settings
    if settings.mqtt.host is None:
        return [skipped("mqtt.host is not set, so nothing is published")]
    findings = certificates(settings.mqtt)
    mqtt = _with_credential(machine, settings.mqtt)
    secret = password_file(mqtt)
    for file in (secret, mqtt.tls.key_file if mqtt.tls is not None else None):
        if file is not None and not os.access(file, os.R_OK):
            return [*findings, skipped(f"{file} cannot be read from here; run as root")]
    if mqtt.username is not None and secret is None:
        where = f"{UNIT} and its drop-ins load no credential {CREDENTIAL}"
        return [*findings, skipped(f"no password: mqtt.password_file is not set, and {where}")]
    with Visitor(mqtt, "doctor") as visitor:
        findings += [_entry(mqtt, visitor), *_rights(settings, visitor)]
        certificate = visitor.certificate()
        findings += size(settings, visitor)
    findings += namesake(machine, mqtt)
    if certificate is not None:
        parsed = x509.load_der_x509_certificate(certificate)
        findings += _lifetime("the broker's certificate", parsed.not_valid_after_utc)
    return findings


def _with_credential(machine: Machine, mqtt: MqttSettings) -> MqttSettings:
    """Take the password that systemd hands to the service."""
    if mqtt.username is None or password_file(mqtt) is not None:
        return mqtt
    handed = machine.credential(CREDENTIAL)
    return mqtt if handed is None else mqtt.model_copy(update={"password_file": handed})


def certificates(mqtt: MqttSettings) -> list[Finding]:
    """Look at the certificates that are configured; their keys are looked at among the files."""
    findings = []
    for name in ("ca_file", "cert_file"):
        file = mqtt.tls and getattr(mqtt.tls, name)
        if not file:
            continue
        try:
            ends = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
        except OSError as error:
            mend = "name a file that is there, and that the service may read"
            findings.append(problem(f"mqtt.tls.{name}: {file}: {error.strerror}", mend))
        except ValueError:
            mend = "a certificate begins with -----BEGIN CERTIFICATE-----"
            findings.append(problem(f"mqtt.tls.{name}: {file}: no certificate in PEM", mend))
        else:
            findings += _lifetime(f"mqtt.tls.{name}: {file}", ends)
    return findings


def _lifetime(what: str, ends: datetime) -> list[Finding]:
    """Say how long a certificate counts, if that is not long."""
    days = (ends - datetime.now(UTC)).total_seconds() / 86400
    if days < 0:
        return [problem(f"{what} ended on {ends:%Y-%m-%d}", _RENEW)]
    if days < _SOON_DAYS:
        return [warning(f"{what} ends on {ends:%Y-%m-%d}, in {days:.0f} days", _RENEW)]
    return []


def _entry(mqtt: MqttSettings, visitor: Visitor) -> Finding:
    text = f"{mqtt.host}:{mqtt.port} lets the door in, by MQTT {visitor.protocol}"
    if mqtt.tls is None and mqtt.host not in _LOCAL:
        return warning(f"{text}, unencrypted", "set mqtt.tls, or keep the broker on this machine")
    return ok(text)


def _rights(settings: Settings, visitor: Visitor) -> list[Finding]:
    """Try to publish and to subscribe as the service does, where nothing is kept of it."""
    topics = Topics(settings.mqtt.base_topic, settings.door.id)
    heard = subscriptions(settings)
    findings = _attempt(lambda: visitor.publish(topics.result, nobodys_result(settings.door.id)))
    if heard:
        findings += _attempt(lambda: visitor.subscribe(*heard))
    if findings:
        return findings
    if visitor.protocol == "3.1.1":
        return [ok("under MQTT 3.1.1 nobody can tell whether the broker drops what is published")]
    return [ok(f"it may publish{' and hear commands' if heard else ''}")]


def _attempt(what: Callable[[], None]) -> list[Finding]:
    try:
        what()
    except BusError as error:
        return [problem(str(error), "see docs/broker.md for the rights that a door needs")]
    return []
