"""The command `lockd`: one module or folder here for each of its commands."""

from __future__ import annotations

import click

from lockd.console import EXIT_CODES, Commands, version_option


@click.group(
    cls=Commands,
    package="lockd.commands",
    table={
        "backup": (".backup.command:backup", "Write the whole door into one encrypted file."),
        "bench": (".bench.command:bench", "Measure what one frame costs here, stage by stage."),
        "broker-setup": (
            ".broker_setup.command:broker_setup",
            "Make keys, passwords and access list of a mosquitto.",
        ),
        "calibrate": (
            ".calibrate:calibrate",
            "Say how alike people are, and which threshold suits.",
        ),
        "check-config": (
            ".check_config:check_config",
            "Check the configuration; print every setting.",
        ),
        "command-key": (".command_key:command_key", "Say who may sign commands over MQTT."),
        "console": (".console:console", "Pages for a browser, and who may use them."),
        "demo": (".demo:demo", "Watch the whole system work, with nothing connected."),
        "doctor": (".doctor.command:doctor", "Say what is wrong with this machine, and the cure."),
        "door": (".door:door", "Ask or command the service that runs here."),
        "evaluate": (".evaluate:evaluate", "Measure how well people are recognised."),
        "fleet": (".fleet.command:fleet", "Have the same people at several doors."),
        "history": (".history:history", "Show who came, and what happened, day by day."),
        "home-assistant": (
            ".home_assistant:home_assistant",
            "Show the door in Home Assistant, or no longer.",
        ),
        "identify": (".identify:identify", "Say who is in photographs."),
        "install": (
            ".install.command:install",
            "Put the service in place, or bring it up to date.",
        ),
        "liveness": (".liveness:liveness", "Say how people are told from pictures; calibrate."),
        "relay-safe": (".relay_safe:relay_safe", "Drive the relay's pin to its locked level."),
        "replay": (".replay:replay", "Run the service over a recording."),
        "restore": (".backup.command:restore", "Make a door of a backup, on another card too."),
        "rollback": (".install.command:rollback", "Go back to the version before."),
        "run": (".run:run", "Run the service: watch the camera, open the door."),
        "send": (".send:send", "Send a signed command to a door over MQTT."),
        "store": (".store:store", "Look after people and their templates on disk."),
        "uninstall": (
            ".install.command:uninstall",
            "Lock the door, and remove what `install` brought.",
        ),
        "update": (".update.command:update", "Say whether there is a newer version."),
        "watch": (".watch.command:watch", "Follow doors live, from anywhere."),
    },
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@version_option("lockd")
def main() -> None:
    """A door that knows its people."""


if __name__ == "__main__":
    main()
