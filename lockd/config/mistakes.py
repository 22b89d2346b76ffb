"""What is wrong with a configuration, in an owner's words: what is written, where, and what may be.

What a setting may be is read from the settings themselves, so that limits are written once.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from lockd.config.written import Path, Written
from lockd.errors import redacted, scrubbed

_Schema: TypeAlias = Mapping[str, Any]

_WANTS_TEXT = {"string_type", "literal_error", "path_type", "enum"}
_TRUTH = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_BASES = (("0x", 16), ("0o", 8), ("0b", 2))
_KINDS = {"boolean": "true or false", "array": "a list, such as [a, b]", "null": "nothing"}


def explain(error: ValidationError, written: Written, model: type[BaseModel]) -> list[str]:
    """Return a line for each mistake: the setting, what is wrong, and the way out.

    Args:
        model: what the written text should be.
    """
    schema = _schema_of(model)
    lines = []
    for path, found in _by_place(error, written).items():
        kinds = {one["type"] for one in found}
        name = ".".join(redacted(str(step)) for step in path)
        said = [one["msg"].removeprefix("Value error, ") for one in found if _is_ours(one)]
        if "extra_forbidden" in kinds:
            said = [_unknown(str(path[-1]), _at(path[:-1], schema))]
        elif "missing" in kinds:
            said = ["missing; it has no default"]
        elif not said:
            said = [_wrong(written, path, _at(path, schema), schema)]
        of_key = "extra_forbidden" in kinds or any("[key]" in one["loc"] for one in found)
        where = written.where(written.place(path), key=of_key)
        lines += [": ".join(filter(None, [name, scrubbed(text)])) + where for text in said]
    return lines


def meant_as_text(error: ValidationError, written: Written) -> list[Path]:
    """Return where a number, true or false is written for what can only be a text."""
    return [
        path
        for path, found in _by_place(error, written).items()
        if {one["type"] for one in found} <= _WANTS_TEXT
        and path == written.place(path)
        and written.text(path) is not None
    ]


@functools.cache
def _schema_of(model: type[BaseModel]) -> _Schema:
    return model.model_json_schema()


def _by_place(error: ValidationError, written: Written) -> dict[Path, list[Any]]:
    """The mistakes by the setting they are about: one of several kinds may miss each of them."""
    found: dict[Path, list[Any]] = {}
    for one in error.errors():
        path = one["loc"] if one["type"] == "missing" else written.place(one["loc"])
        found.setdefault(path, []).append(one)
    return found


def _is_ours(error: Mapping[str, Any]) -> bool:
    return str(error["type"]) == "value_error"


def _unknown(key: str, section: _Schema) -> str:
    close = difflib.get_close_matches(key, section.get("properties", ()), n=1)
    hint = f"did you mean {close[0]}?" if close else "lockd knows no such setting"
    return f"unknown key; {hint}"


def _wrong(written: Written, path: Path, schema: _Schema, root: _Schema) -> str:
    shown, hint = written.shown(path), _hint(written, path, schema)
    found = f"{shown} is wrong: use" if shown else "nothing is written; use"
    return f"{found} {_allowed(schema, root)}{hint}"


def _at(path: Path, root: _Schema) -> _Schema:
    """Return the schema of what a path leads to."""
    schema = _choice(root, root)
    for step in path:
        named = schema.get("properties", {}).get(step) or schema.get("additionalProperties")
        inner = schema.get("items") if isinstance(step, int) else named
        schema = _choice(inner, root) if isinstance(inner, Mapping) else {}
    return schema


def _choice(schema: _Schema, root: _Schema) -> _Schema:
    """Follow a reference, and go past what says only that nothing may be set."""
    if "$ref" in schema:
        return _choice(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return _choice(choices[0], root) if len(choices) == 1 else schema


def _allowed(schema: _Schema, root: _Schema) -> str:
    """Say what may be written."""
    schema = _choice(schema, root)
    if "anyOf" in schema:
        return ", or ".join(_allowed(one, root) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        *others, last = map(str, schema.get("enum") or [schema["const"]])
        return f"{', '.join(others)} or {last}" if others else last
    kind = schema.get("type", "string")
    if kind in ("integer", "number"):
        return f"a {'whole ' if kind == 'integer' else ''}number {_range(schema)}"
    if kind == "object":
        names = ", ".join(schema.get("properties", ()))
        return f"a section with {names}" if names else "a section with names and their values"
    if kind == "string":
        return f"a text{_length(schema)}" if schema.get("format") != "path" else "a path"
    return _KINDS[kind]


def _range(schema: _Schema) -> str:
    least, most = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    above = "above" if "exclusiveMinimum" in schema else "from"
    return f"{above} {least:g} to {most:.10g}"


def _length(schema: _Schema) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if most is not None:
        return f" of {least} to {most} characters"
    return " that is not empty" if least else ""


def _hint(written: Written, path: Path, schema: _Schema) -> str:
    """Say what was meant, if it can be told."""
    text = written.characters(path)
    kinds = {one.get("type") for one in schema.get("anyOf", [schema])}
    if not text:
        return ""
    if "boolean" in kinds:
        meant = _TRUTH.get(text.lower(), text.lower() if text.lower() in _TRUTH.values() else None)
    elif kinds & {"integer", "number"}:
        meant = _number(text, whole="integer" in kinds)
    else:
        meant = f"[{text}]" if kinds == {"array"} else None
    if meant is None or (meant == text and written.text(path) is not None):
        return ""
    return f"; write {meant}{', without quotes' * (meant == text)}"


def _number(text: str, *, whole: bool) -> str | None:
    """Return how a number is written that its owner wrote in another way, or None."""
    digits = text.strip().replace("_", "").removeprefix("+")
    sign = "-" if digits.startswith("-") else ""
    digits = digits.removeprefix("-")
    for prefix, base in _BASES:
        try:
            if digits.lower().startswith(prefix):
                return f"{sign}{int(digits, base)}"
        except ValueError:
            return None
    number = re.fullmatch(r"0*([0-9]{1,15})(?:[.,]([0-9]{0,15}))?", digits)
    if number is None:
        return None
    if whole and (number[2] or "").strip("0"):
        return None
    return f"{sign}{number[1]}" + (f".{number[2]}" if number[2] and not whole else "")
