"""The files that are text: mosquitto's, the doors' settings, and what goes where."""

from __future__ import annotations

import re
from string import Template

from lockd.commands.broker_setup.plan import BrokerPlan, door_user
from lockd.config import DoorSettings, HomeAssistantSettings, MqttSettings, Settings
from lockd.publishing.home_assistant import config_topic

_SECTION = re.compile(r"^# \[([a-z-]+)\].*\n((?:.+\n?)*)", re.MULTILINE)


def broker_configuration(template: str, plan: BrokerPlan) -> str:
    """Fill in `config/mosquitto/lockd.conf`."""
    return Template(template).substitute(
        port=plan.port,
        folder=plan.folder,
        require_certificate=str(plan.client_certificates).lower(),
    )


def access_list(template: str, plan: BrokerPlan) -> str:
    """Write the access list from the sections of `config/mosquitto/lockd.acl`."""
    sections = dict(_SECTION.findall(template))
    parts = ["# Written by `lockd broker-setup`. What is not allowed here is forbidden.\n"]
    for door in plan.doors:
        rules = Template(sections["door"])
        text = rules.substitute(
            base=plan.base_topic, door=door, prefix=plan.prefix, discovery=_discovery(plan, door)
        )
        parts.append(f"user {door_user(door)}\n{text}")
    for user in plan.users():
        roles = ["reader"]
        roles += ["home-assistant"] * (user in plan.home_assistants)
        roles += ["commander"] * (user in plan.commanders)
        rules = Template("".join(sections[role] for role in roles))
        text = rules.substitute(base=plan.base_topic, prefix=plan.prefix)
        parts.append(f"user {user}\n{text}")
    return "\n".join(parts)


def door_settings(plan: BrokerPlan, door: str) -> str:
    """Return the part of a door's lockd.yaml, whose paths count from its own folder."""
    own = "    cert_file: client.crt\n    key_file: client.key\n"
    text = f"""\
door:
  id: {door}
mqtt:
  host: {plan.hosts[0]}
  port: {plan.port}
  username: {door_user(door)}
  # Leave this line out if systemd hands the password over (LoadCredential=mqtt-password:...).
  password_file: mqtt-password
  tls:
    ca_file: ca.crt
{own if plan.client_certificates else ""}  base_topic: {plan.base_topic}
"""
    if plan.prefix != BrokerPlan().prefix:
        text += f"  home_assistant:\n    prefix: {plan.prefix}\n"
    return text


def instructions(template: str, plan: BrokerPlan) -> str:
    """Fill in `config/mosquitto/README`, whose part between the lines of `%` is for each door."""
    before, each_door, after = template.split("%%%\n")
    words = {
        "folder": plan.folder,
        "host": plan.hosts[0],
        "port": plan.port,
        "keys": " client.crt client.key" if plan.client_certificates else "",
        "own": " --cert client.crt --key client.key" if plan.client_certificates else "",
        "users": "".join(f"  user-{user}/   {_role(plan, user)}\n" for user in plan.users()),
    }
    doors = "".join(Template(each_door).substitute(words, door=door) for door in plan.doors)
    return Template(before + doors.replace("$", "$$") + after).substitute(words)


def _discovery(plan: BrokerPlan, door: str) -> str:
    """Return where a door describes itself to Home Assistant."""
    here = HomeAssistantSettings(prefix=plan.prefix)
    mqtt = MqttSettings(base_topic=plan.base_topic, home_assistant=here)
    return config_topic(Settings(door=DoorSettings(id=door), mqtt=mqtt))


def _role(plan: BrokerPlan, user: str) -> str:
    roles = ["reads what doors say"]
    roles += ["is a Home Assistant"] * (user in plan.home_assistants)
    roles += ["may command"] * (user in plan.commanders)
    return ", ".join(roles)
