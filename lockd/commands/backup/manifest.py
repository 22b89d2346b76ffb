"""What is in a backup: every value checked as if a stranger had written it."""

from __future__ import annotations

import posixpath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from lockd.errors import TransferError

_MOST_FILES = 1000
Role = Literal["store", "store key", "configuration", "secret", "other", "unit"]


def _absolute(path: str) -> str:
    # normpath keeps two slashes at the start, as POSIX lets it.
    plain = path.startswith("/") and not path.startswith("//") and path != "/"
    if not plain or path != posixpath.normpath(path) or not path.isprintable():
        raise ValueError("no absolute path")
    return path


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Item(_Part):
    """A file.

    Attributes:
        path: where it was.
        role: what it is.
        owner, group: whose it was: root's, the service's, or somebody else's (an empty text).
        mode: its rights.
        bytes: how long it is.
    """

    path: Annotated[str, Field(max_length=4096), AfterValidator(_absolute)]
    role: Role
    owner: Literal["root", "lockd", ""]
    group: Literal["root", "lockd", ""]
    mode: Annotated[int, Field(ge=0, le=0o777)]
    bytes: Annotated[int, Field(ge=0, le=1 << 40)]


class Manifest(_Part):
    """All files, in the order in which they follow.

    Attributes:
        made_utc: when.
        version: of the lockd that made it.
        door: its id.
        generation_file: where the store's latest generation is kept; it is made anew.
    """

    format: Literal[1]
    made_utc: Annotated[str, Field(max_length=64)]
    version: Annotated[str, Field(max_length=64)]
    door: Annotated[str, Field(max_length=64)]
    generation_file: Annotated[str, Field(max_length=4096), AfterValidator(_absolute)]
    files: Annotated[list[Item], Field(max_length=_MOST_FILES)]

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        roles = [one.role for one in self.files]
        if roles.count("store") != 1 or roles.count("store key") != 1:
            raise ValueError("not one store and one key")
        if roles.count("configuration") > 1 or len({one.path for one in self.files}) < len(roles):
            raise ValueError("the same file twice")
        return self

    @classmethod
    def read(cls, content: bytes, name: str) -> Manifest:
        """Read one.

        Args:
            name: of the file that it is in, for the error message.

        Raises:
            TransferError: if something in it makes no sense.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise TransferError(f"{name}: {place or 'its list'}: {first['msg']}") from None

    def item(self, role: Role) -> Item | None:
        """Return the file of a role, None if there is none."""
        return next((one for one in self.files if one.role == role), None)
