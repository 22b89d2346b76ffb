"""YAML as its owner wrote it: nothing is taken for a number that was not written as one.

PyYAML reads YAML 1.1, in which 017 is fifteen, 22:00 is 1320 and `no` is false. Here, as in YAML
1.2, a number is written in decimal digits with no zero in front, true and false alone are
truth, and all the rest is text. Where everything stands is kept, for what is said of it.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import yaml

from lockd.errors import redacted

Path: TypeAlias = tuple[str | int, ...]
"""The keys, and places in lists, that lead to a value."""

_MOST_VALUES = 20_000
_LONGEST_SHOWN = 60
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*|(?=\.[0-9]))(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {"": None, "~": None}
for _word, _meaning in (("null", None), ("true", True), ("false", False)):
    _WORDS |= dict.fromkeys((_word, _word.title(), _word.upper()), _meaning)
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq")}


class _Loader(yaml.SafeLoader):
    """Makes nodes, in which every plain word is a text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # as PyYAML declares it


class Written:
    """A text in YAML.

    Attributes:
        value: what it says.
    """

    def __init__(self, text: str) -> None:
        """Read it.

        Raises:
            yaml.YAMLError: if it is no YAML, or says a thing twice.
            RecursionError: if it is nested too deeply.
        """
        self._nodes: dict[Path, yaml.Node] = {}
        self._keys: dict[Path, yaml.Node] = {}
        self._open: list[yaml.Node] = []
        self._text = text
        node = yaml.compose(text, Loader=_Loader)
        self.value: Any = None if node is None else self._read(node, ())

    def place(self, path: Path) -> Path:
        """Return as much of a path as is written."""
        while path not in self._nodes and path:
            path = path[:-1]
        return path

    def where(self, path: Path, *, key: bool = False) -> str:
        """Return in which line and column something stands, in brackets; nothing for the whole."""
        node = (self._keys if key else self._nodes).get(path) if path else None
        return "" if node is None else f" ({_position(node.start_mark)})"

    def shown(self, path: Path) -> str:
        """Return a value as it is written, without passwords."""
        node, characters = self._nodes[path], self.characters(path)
        if characters is None:
            return "a section" if isinstance(node, yaml.MappingNode) else "a list"
        text = redacted(characters)
        text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
        return text if _is_plain(node) and not text[:1].isalpha() else repr(text)

    def characters(self, path: Path) -> str | None:
        """Return the characters of a value; None of a list or a section."""
        node = self._nodes[path]
        return str(node.value) if isinstance(node, yaml.ScalarNode) else None

    def text(self, path: Path) -> str | None:
        """Return the characters of a value that is written as a number, true or false."""
        node = self._nodes[path]
        if not isinstance(node, yaml.ScalarNode) or isinstance(_scalar(node), str | None):
            return None
        return self.characters(path)

    def as_text(self, path: Path) -> None:
        """Take a value's characters for what it says."""
        inner = self.value
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = self.text(path)

    def _read(self, node: yaml.Node, path: Path) -> Any:
        """Return a node's value, and remember where it stands."""
        self._nodes[path] = node
        if node.tag not in _TAGS:
            raise _wrong("a tag such as !!int has no meaning here; write the value alone", node)
        if len(self._nodes) > _MOST_VALUES:
            raise _wrong(f"more than {_MOST_VALUES} values; is it lockd's configuration?", node)
        if any(node is one for one in self._open):
            raise _wrong("it holds itself; write it out", node)
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self._read(one, (*path, at)) for at, one in enumerate(node.value)]
            return _scalar(node) if isinstance(node, yaml.ScalarNode) else None
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, (key, value) in self._entries(node).items():
            self._keys[*path, name] = key
            found[name] = self._read(value, (*path, name))
        return found

    def _entries(self, node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Return what a mapping has, by its keys: its own first, then what `<<` brings along."""
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _wrong("a list or section is no name of a setting", key)
            if node.flow_style and self._lacks_value(key, value):
                raise _wrong("no value; a text with a comma within { } needs quotes", key)
            if key.value == "<<" and _is_plain(key):
                merged = {**self._merged(value), **merged}
            elif key.value in own:
                raise _wrong(f"the key {redacted(key.value)!r} is there twice", key)
            else:
                own[key.value] = key, value
        return {**merged, **own}

    def _lacks_value(self, key: yaml.Node, value: yaml.Node) -> bool:
        """Return whether not even a colon follows: as where a comma has cut a text in two."""
        between = self._text[key.end_mark.index : value.start_mark.index]
        return value.value == "" and _is_plain(value) and ":" not in between

    def _merged(self, value: yaml.Node) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(one, yaml.MappingNode):
                raise _wrong("<< takes a section, such as <<: *name", value)
            if any(one is outer for outer in self._open):
                raise _wrong("it holds itself; write it out", value)
            self._open.append(one)
            found = {**self._entries(one), **found}
            self._open.pop()
        return found


def why_no_yaml(error: yaml.YAMLError | RecursionError, text: str) -> str:
    """Return what is wrong and where, without the line itself, which may hold a password."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position].split("\n")
        place = f"line {len(before)}, column {len(before[-1]) + 1}"
        return f"{place}: a character that cannot be seen; remove it"
    if isinstance(error, RecursionError):
        return "lists or sections are nested too deeply"
    mark = getattr(error, "problem_mark", None)
    said = (getattr(error, part, None) for part in ("context", "problem"))
    problem = re.sub(r" '[^']{2,}'(?! is there twice)", "", ", ".join(filter(None, said)))
    return f"{_position(mark) + ': ' if mark else ''}{problem}"


def _is_plain(node: yaml.Node) -> bool:
    """Return whether it is a word without quotes."""
    return isinstance(node, yaml.ScalarNode) and node.style is None


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text = str(node.value)
    if not _is_plain(node):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _wrong(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(None, None, problem, node.start_mark)


def _position(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"
