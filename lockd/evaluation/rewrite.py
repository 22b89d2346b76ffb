"""Change one value of a configuration file, and nothing else in it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import yaml

from lockd.config import parse
from lockd.errors import ConfigError
from lockd.files import acting_for, write_over


def set_number(path: Path, section: str, key: str, value: float) -> Path:
    """Set a number in a configuration file; comments and everything else stay.

    Where the number is not set yet, a line is added: below one that has it as a comment,
    else on top of its section, else with the section at the end.

    The file is replaced in one step and keeps its owner and mode; what it was before
    is kept beside it.

    Args:
        section: the section that the number is in.

    Returns:
        The copy of the file as it was, with ``.bak`` at the end of its name.

    Raises:
        ConfigError: if that cannot be done safely or the file cannot be written; the
            file is then as it was.
    """
    try:
        with acting_for(path.parent):
            path = path.resolve()  # replace what a link leads to, not the link
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
    before = parse(text, str(path))
    changed = _with(text, section, key, f"{value:g}")
    wanted = before.model_dump()
    wanted[section][key] = float(f"{value:g}")
    try:
        good = changed is not None and parse(changed, str(path)).model_dump() == wanted
    except ConfigError as error:
        raise ConfigError(f"{error}\n{section}.{key} was not changed") from error
    if changed is None or not good:
        raise ConfigError(
            f"{path}: {section}.{key} cannot be set without touching anything else; "
            f"write `{key}: {value:g}` into the section `{section}:` by hand"
        )
    return changed


def _with(text: str, section: str, key: str, value: str) -> str | None:
    """The text with a value put in, or None where no safe place is known."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    inside = _child(root, section)
    node = _child(inside, key)
    if isinstance(node, yaml.ScalarNode):
        start, end = int(node.start_mark.index), int(node.end_mark.index)
        return text[:start] + value + text[end:]
    newline = "\r\n" if "\r\n" in text else "\n"
    if isinstance(inside, yaml.MappingNode) and not inside.flow_style and inside.value:
        mark = inside.value[0][0].start_mark
        line = " " * int(mark.column) + f"{key}: {value}{newline}"
        start, end = int(mark.index - mark.column), int(inside.end_mark.index)
        comment = re.search(rf"^[ ]*#[ ]*{key}:.*\n", text[start:end], re.MULTILINE)
        at = start + comment.end() if comment else start
        return text[:at] + line + text[at:]
    if inside is None and (root is None or not getattr(root, "flow_style", True)):
        ended = text if not text or text.endswith("\n") else text + newline
        return f"{ended}{section}:{newline}  {key}: {value}{newline}"
    return None


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _replace(path: Path, text: str) -> None:
    """Write a file anew that stays whose it was."""
    old = path.stat()
    ours = (old.st_uid, old.st_gid) == (os.geteuid(), os.getegid())
    uid, gid = (-1, -1) if ours else (old.st_uid, old.st_gid)
    write_over(path, text.encode("utf-8"), mode=old.st_mode & 0o7777, uid=uid, gid=gid)
