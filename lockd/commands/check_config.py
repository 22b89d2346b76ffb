"""`lockd check-config`: every setting in effect, or every mistake."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import yaml

from lockd.adapters.keys import CommandKeys
from lockd.adapters.mqtt.client import password_file
from lockd.adapters.reach import drop_in, needs
from lockd.adapters.store.vault import Vault
from lockd.config import Settings, find, load
from lockd.config.camera import RegionSettings
from lockd.console import config_option, err, reported
from lockd.errors import ModelError, redacted, scrubbed
from lockd.identity.liveness import photographs_open, shortcoming
from lockd.paths import system_authorities
from lockd.vision.models import recommended_accept


@click.command("check-config")
@config_option
@click.option(
    "--network",
    is_flag=True,
    help="Print whom the unit has to let the service speak to, as a drop-in for systemd.",
)
@reported
def check_config(config_file: Path | None, network: bool) -> None:
    """Check the configuration and print every setting in effect, without passwords."""
    path = find(config_file)
    settings = load(path)
    if network:
        click.echo(drop_in(needs(settings)), nl=False)
        return
    listed = in_effect(settings)
    err.print(f"{path or 'no file, the defaults'}: good", style="green")
    infrared = settings.camera.infrared
    if settings.camera.unverified or (infrared and infrared.unverified):
        err.print(
            "camera.tls: unverified: whoever is on the wire can show this door any face",
            style="bold yellow",
        )
    policies = settings.policies()
    cannot = shortcoming(policies, settings.means(), settings.liveness.doubt)
    for remark in [*photographs_open(policies), *([cannot] if cannot else [])]:
        err.print(remark, style="bold yellow", markup=False)
    click.echo(scrubbed(yaml.safe_dump(listed, sort_keys=False, allow_unicode=True)), nl=False)


def in_effect(settings: Settings) -> dict[str, Any]:
    """Return every setting, and what counts where none is set; null where nothing does."""
    listed = settings.model_dump(mode="json")
    for camera in (listed["camera"], listed["camera"]["infrared"]):
        if camera is not None and isinstance(camera["source"], str):
            camera["source"] = redacted(camera["source"])
    for section, key, value in _instead(settings):
        if listed[section][key] is None and value is not None:
            listed[section][key] = str(value) if isinstance(value, Path) else value
    for group in listed["access"]["groups"].values():
        group["hours"] = group["hours"] or "always"
    keys = listed["mqtt"]["commands"]
    keys["keys_file"] = str(CommandKeys.open(settings).file)
    if (tls := listed["mqtt"]["tls"]) is not None:
        tls["ca_file"] = tls["ca_file"] or str(system_authorities())
    return listed


def _instead(settings: Settings) -> list[tuple[str, str, Any]]:
    """What counts where nothing is set."""
    camera, recognition, mqtt = settings.camera, settings.recognition, settings.mqtt
    folder = recognition.folder()
    return [
        ("camera", "ca_file", camera.authorities()),
        ("camera", "region", RegionSettings().model_dump()),
        ("recognition", "models", folder),
        ("recognition", "accept", _accept(folder, recognition.profile)),
        ("access", "timezone", _machines_zone()),
        ("store", "folder", settings.store.path().parent),
        ("store", "key_file", Vault.open(settings.store).key_file),
        ("control", "socket", settings.control.path()),
        ("mqtt", "client_id", mqtt.client(settings.door.id)),
        ("mqtt", "password_file", password_file(mqtt)),
    ]


def _accept(folder: Path, profile: str) -> float | None:
    """Return what the manifest recommends; no network is loaded for it."""
    try:
        return recommended_accept(folder, profile)
    except ModelError as error:
        err.print(f"recognition.accept: not known: {error}", style="yellow", markup=False)
        return None


def _machines_zone() -> str | None:
    """Return the name of the machine's time zone, if it has one."""
    return os.environ.get("TZ") or (
        os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2] or None
    )
