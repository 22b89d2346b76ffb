"""Commands that are imported when they are called.

What all the commands need together takes a small board seconds to import, and
`lockd send` or the completion of a name needs little of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class Commands(click.Group):
    """A group of commands, some of which are elsewhere until they are asked for."""

    def __init__(self, *args: Any, elsewhere: Mapping[str, str], **kwargs: Any) -> None:
        """Name the commands.

        Args:
            args: of `click.Group`.
            elsewhere: where commands are, as ``module:attribute`` by their names.
            kwargs: of `click.Group`.
        """
        super().__init__(*args, **kwargs)
        self._elsewhere = dict(elsewhere)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, without importing any."""
        return sorted({*super().list_commands(ctx), *self._elsewhere})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported if need be; None if there is none of that name."""
        if cmd_name in self._elsewhere:
            module, _, attribute = self._elsewhere.pop(cmd_name).partition(":")
            self.add_command(getattr(import_module(module), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)
