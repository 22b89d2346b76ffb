"""Change one value of a configuration file, and nothing else in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import yaml

from lockd.config import parse
from lockd.errors import ConfigError


def set_number(path: Path, section: str, key: str, value: float) -> Path:
    """Replace a number in a configuration file; comments and everything else stay.

    The file is replaced in one step and keeps its owner and mode; what it was before
    is kept beside it.

    Args:
        path: the YAML file.
        section: the section that the number is in.
        key: its name there; it must be in the file already.
        value: the new number.

    Returns:
        The copy of the file as it was, with ``.bak`` at the end of its name.

    Raises:
        ConfigError: if the value cannot be found or the file cannot be written; the
            file is then as it was.
    """
    path = path.resolve()  # replace what a link leads to, not the link
    try:
        text = path.read_bytes().decode("utf-8")
        changed = _replaced(text, path, section, key, value)
        backup = path.with_name(path.name + ".bak")
        shutil.copy2(path, backup)
        _replace(path, changed)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be changed: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be changed: {error}") from error
    return backup


def _replaced(text: str, path: Path, section: str, key: str, value: float) -> str:
    by_hand = f"write `{key}: {value:g}` into the section `{section}:` by hand"
    before = parse(text, str(path))
    node = _child(_child(yaml.compose(text, Loader=yaml.SafeLoader), section), key)
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError(f"{path}: has no {section}.{key} to change; {by_hand}")
    changed = text[: node.start_mark.index] + f"{value:g}" + text[node.end_mark.index :]
    wanted = before.model_dump()
    wanted[section][key] = float(f"{value:g}")
    try:
        good = parse(changed, str(path)).model_dump() == wanted
    except ConfigError as error:
        raise ConfigError(f"{error}\n{section}.{key} was not changed") from error
    if not good:  # an anchor that others refer to, for one
        raise ConfigError(f"{path}: {section}.{key} cannot be changed alone; {by_hand}")
    return changed


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _replace(path: Path, text: str) -> None:
    old = path.stat()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), old.st_mode & 0o7777)
            if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
