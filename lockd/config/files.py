"""From a file to settings, or to every mistake in it."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from lockd.config.settings import Settings
from lockd.config.sources import is_path
from lockd.errors import ConfigError

ENVIRONMENT = "LOCKD_CONFIG"
SYSTEM_FILE = Path("/etc/lockd/lockd.yaml")
_T = TypeVar("_T")


def find(given: Path | None) -> Path | None:
    """Return the configuration file to read, or None for the defaults.

    The one given, else the one that ``$LOCKD_CONFIG`` names, else
    ``/etc/lockd/lockd.yaml`` if this machine has it.
    """
    if given is not None:
        return given
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT])
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
    source = settings.camera.source
    if is_path(source):
        camera = settings.camera.model_copy(
            update={"source": str(folder / Path(str(source)).expanduser())}
        )
        settings = settings.model_copy(update={"camera": camera})
    return settings


def parse(text: str, name: str = "configuration") -> Settings:
    """Validate a configuration's text.

    Args:
        text: YAML.
        name: of the file, for the error message.

    Raises:
        ConfigError: listing every mistake.
    """
    try:
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {error}") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{name}: expected sections such as `door:`, found {content!r}")
    # A section with nothing in it is an empty section: `tls:` alone must encrypt.
    content = {key: {} if value is None else value for key, value in content.items()}
    mqtt = content.get("mqtt")
    if isinstance(mqtt, dict) and mqtt.get("tls", ...) is None:
        content["mqtt"] = {**mqtt, "tls": {}}
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        lines = _explain_all([dict(one) for one in error.errors()])
        listed = "\n".join(f"  {line}" for line in lines)
        mistakes = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        raise ConfigError(f"{name}: {mistakes}\n{listed}") from None


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses a key written twice instead of taking the last.

    A date is a text: what is wrong with 2026-02-30 can then be said with its path.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  # as PyYAML declares it
        first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _explain_all(errors: list[dict[str, Any]]) -> list[str]:
    """One line for each mistake: the path, what is wrong, and the way out."""
    lines: list[str] = []
    wrong: dict[str, tuple[Any, list[str]]] = {}
    for error in errors:
        path = [str(part) for part in error["loc"]]
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            close = difflib.get_close_matches(path[-1], _section(path[:-1])[1], n=1)
            hint = f"did you mean {close[0]}?" if close else "lockd knows no such setting"
            lines.append(f"{'.'.join(path)}: unknown key; {hint}")
        elif error["type"] == "missing":
            lines.append(f"{'.'.join(path)}: missing; it has no default")
        elif error["type"] == "value_error":
            names = ".".join(name for name in path if name != "[key]")
            lines.append(": ".join(filter(None, [names, message])))
        else:
            # A value that may be of several types is one mistake with several ways out.
            where = ".".join(_section(path)[0])
            wrong.setdefault(where, (error["input"], []))[1].append(message)
    for where, (found, messages) in wrong.items():
        lines.append(f"{where}: {found!r} is wrong: {', or '.join(messages)}")
    return lines


def _section(path: list[str]) -> tuple[list[str], list[str]]:
    """The part of a path that a file would show, and the keys of the section there."""
    section: type[BaseModel] | None = Settings
    known: list[str] = []
    named = False  # whether next comes a name that the file gives, as of a group
    for name in path:
        if named:
            named = False
        elif section is None or name not in section.model_fields:
            break
        else:
            annotation = section.model_fields[name].annotation
            kinds = [annotation, *getattr(annotation, "__args__", ())]
            sections = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
            section = sections[0] if sections else None
            named = any(getattr(kind, "__origin__", None) is dict for kind in kinds)
        known.append(name)
    return known, list(section.model_fields) if section else []


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
