"""`lockd send`: command a door over MQTT, from anywhere."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from lockd.adapters.keys import keys_in, read_keys
from lockd.adapters.mqtt.visitor import Heard, Visitor
from lockd.commands.broker_options import Broker, broker_options
from lockd.console import Choice, err, printable, reported
from lockd.door.validity import is_moment
from lockd.errors import BusError, ControlError
from lockd.messages import Topics
from lockd.paths import credential
from lockd.remote.commands import COMMANDS
from lockd.remote.judging import Result
from lockd.remote.signing import LONGEST_NAME, LONGEST_S, Order, is_printable

KEY = "LOCKD_COMMAND_KEY"
CREDENTIAL = "command-key"
REFUSED = 1
_ANSWER_S = 10.0
_ENROLLED_S = 240.0
_HINTS = {
    "not_authentic": "has this identity this key, and the door, too?",
    "clock_unknown": "the door does not know the time",
    "too_old": "is this computer's clock right, and the door's?",
    "in_the_future": "is this computer's clock right, and the door's?",
    "version": "the door has another version of lockd; install the same",
    "time_passed": "the door's clock was far ahead once; make a new key",
    "overtaken": "the door was ordered to lock meanwhile",
    "off": "enable it in mqtt.commands.allow of the door",
    "not_allowed": "see mqtt.commands.allow of the door; somebody's own may confirm only for them",
    "not_bound": "whose telephone is it? See `lockd command-key add --person`, or give --name",
    "before_asked": "send it once the door asks for it; is this computer's clock right?",
    "nothing": "the door waits for no such thing just now",
    "busy": "somebody else is being enrolled",
    "store": "the door cannot write its store; see its log",
}
_COMMON = ("schema", "id", "door", "utc", "command", "by", "result", "people")


@click.command("send")
@click.argument("command", type=Choice([*COMMANDS]))
@click.option("--seconds", type=click.IntRange(1, LONGEST_S), help="How long, for hold-open.")
@click.option(
    "--name",
    help="Whom, for enrol, its confirm, enable, disable, rename and remove.",
)
@click.option("--new-name", help="What they are to be called.")
@click.option("--valid-from", metavar="DATE", help="Of enrol: first day, or minute.")
@click.option(
    "--valid-until", metavar="DATE", help="Of enrol: last day, or the minute that ends it."
)
@click.option("--identity", help="Who commands [default: the only one of the key file].")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Their key: the line that `lockd command-key add` printed [default: ${KEY}].",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 3600),
    help="Seconds to wait for the result [default: 10; 240 with enrol].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON lines.")
@reported
@broker_options
def send(
    command: str,
    identity: str | None,
    key_file: Path | None,
    broker: Broker,
    timeout: float | None,
    as_json: bool,
    seconds: int | None,
    name: str | None,
    new_name: str | None,
    valid_from: str | None,
    valid_until: str | None,
) -> None:
    """Sign COMMAND, send it to a door and wait for what becomes of it.

    Ends with exit code 0 if it was obeyed, 1 if it was refused, 10 if the broker cannot be
    spoken to, and 12 if no answer came.
    """
    arguments: dict[str, Any] = {"name": name, "new_name": new_name}
    arguments |= {"valid_from": valid_from, "valid_until": valid_until}
    _check_arguments(command, seconds=seconds, **arguments)
    if broker.door is None:
        raise click.UsageError("--host needs --door: which one is commanded")
    identity, key = _key_of(identity, key_file)
    if timeout is None:
        timeout = _ENROLLED_S if command == "enrol" else _ANSWER_S
    if command == "enrol" and seconds is None:
        seconds = max(1, int(timeout))  # the door gives up when whoever asked does
    order = Order(
        id=secrets.token_urlsafe(12),
        base_topic=broker.settings.base_topic,
        door=broker.door,
        command=command,
        by=identity,
        time=int(time.time()),
        nonce=secrets.token_urlsafe(18),
        seconds=seconds,
        **arguments,
    )
    topics = Topics(broker.settings.base_topic, order.door)
    result: dict[str, Any] = {}
    with Visitor(broker.settings, "send") as visitor:
        visitor.subscribe(topics.result)
        visitor.publish(topics.command, order.payload(key))
        for result in _results(visitor.messages(timeout), order.id):
            told = json.dumps(result) if as_json else printable(_told(result), keep="\n")
            click.echo(told)
            if _is_last(result):
                break
        else:
            raise ControlError(
                f"{topics.command}: no answer within {timeout:g} s; does lockd run there, is "
                f"{command} enabled, and may this user publish there?"
            )
    if result["result"] != Result.OK:
        hint = _HINTS.get(str(result.get("reason")))
        err.print("[bold red]refused[/]" + (f": {hint}" if hint else ""))
        raise SystemExit(REFUSED)


def _check_arguments(command: str, **given: object) -> None:
    takes = COMMANDS[command]
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if value is None and name in takes.needs:
            raise click.UsageError(f"{command} needs {option}")
        if value is not None and name not in takes.needs | takes.may:
            raise click.UsageError(f"{command} does not take {option}")
        if isinstance(value, str) and not (len(value) <= LONGEST_NAME and is_printable(value)):
            raise click.UsageError(f"{option}: at most {LONGEST_NAME} printable characters")
        if name.startswith("valid_") and value is not None and not is_moment(str(value)):
            raise click.UsageError(
                f"{option}: {value!r} is neither 2026-12-31 nor 2026-12-31T14:30"
            )


def _key_of(identity: str | None, file: Path | None) -> tuple[str, bytes]:
    """Return who signs, and with what.

    Raises:
        BusError: if there is no key, or whose it is cannot be told.
    """
    if file is not None:
        keys, where = read_keys(file), str(file)
    elif line := os.environ.get(KEY):
        keys, where = keys_in(line.encode(), f"${KEY}"), f"${KEY}"
    elif (handed := credential(CREDENTIAL)) is not None:
        keys, where = read_keys(handed, private=False), str(handed)
    else:
        raise BusError(f"no key to sign with: name its file with --key-file, or set ${KEY}")
    if identity is None and len(keys) == 1:
        identity = next(iter(keys))
    if identity is None:
        raise BusError(f"{where}: {len(keys)} keys; say with --identity whose is meant")
    if identity not in keys:
        raise BusError(f"{where}: no key of {identity}; there is {', '.join(keys) or 'none'}")
    return identity, keys[identity].secret


def _results(heard: Iterator[Heard], id_: str) -> Iterator[dict[str, Any]]:
    """The results of one command."""
    for one in heard:
        try:
            result = json.loads(one.payload)
        except ValueError:
            continue
        if not one.retained and isinstance(result, dict) and result.get("id") == id_:
            yield result


def _is_last(result: dict[str, Any]) -> bool:
    return result.get("result") != Result.OK or result.get("stage") in (None, "finished")


def _told(result: dict[str, Any]) -> str:
    """A result as one line, or several with people in it."""
    if result.get("stage") == "progress":
        return f"{result.get('taken')} of {result.get('of')}: {result.get('says', '')}"
    people = result.get("people", ())
    lines = [f"{one['name']}{'' if one['enabled'] else ' (disabled)'}" for one in people]
    rest = [f"{name}: {value}" for name, value in result.items() if name not in _COMMON]
    return "\n".join([*lines, ", ".join([str(result.get("result")), *rest])])
