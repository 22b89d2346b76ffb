"""Tensors of a PyTorch file, read as data: no PyTorch, and no code out of the file.

The format is that of `torch.save` before version 1.6: five pickles (a magic number, the
protocol, the machine's number sizes, the dictionary, the keys of its storages), then each
storage as a count and its numbers. A pickle can name anything to be called while it is read;
here four names stand for what is written below, and any other is refused.
"""

import io
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .sources import SourceError

Array = np.ndarray[Any, Any]

MAGIC = 0x1950A86A20F9469CFC6C
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True)
class Storage:
    """The numbers that one or more tensors are views of."""

    key: str
    dtype: np.dtype[Any]
    size: int


@dataclass(frozen=True)
class View:
    """A tensor: where in a storage it begins, and how its numbers lie there."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, numbers: Array) -> Array:
        """The tensor's numbers."""
        if not self._lies_within(numbers.size):
            raise SourceError(f"a tensor of {self.shape} lies outside of its storage")
        steps = [one * numbers.itemsize for one in self.strides]
        lying = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, steps)
        return np.array(lying)

    def _lies_within(self, size: int) -> bool:
        whole = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or any(one < 0 for one in whole):
            return False
        reach = sum((side - 1) * step for side, step in zip(self.shape, self.strides, strict=True))
        return self.offset + reach < size


def view(storage: Storage, offset: int, shape: Any, strides: Any, *_: Any) -> View:
    """What the file calls to make a tensor; gradients and hooks are left out."""
    return View(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


class Reader(pickle.Unpickler):
    """A pickle of four names and no others."""

    NAMES: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): view,
        ("torch", "FloatStorage"): "FloatStorage",
        ("torch", "LongStorage"): "LongStorage",
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.NAMES:
            raise SourceError(f"the file wants to call {module}.{name}: it is none of weights")
        return self.NAMES[module, name]

    def persistent_load(self, described: Any) -> Storage:
        kind, number, key, _, size, _ = described
        if kind != "storage" or number not in DTYPES:
            raise SourceError(f"the file holds a {kind} of {number}: it is none of weights")
        return Storage(str(key), DTYPES[number], int(size))


def state_dict(data: bytes) -> dict[str, Array]:
    """The tensors of a file by name, in its order.

    Raises:
        SourceError: if it is not such a file, or names what weights have no use for.
    """
    file = io.BytesIO(data)
    try:
        return read(file)
    except (pickle.UnpicklingError, AttributeError, EOFError, IndexError) as error:
        raise SourceError(f"no weights of PyTorch's older format: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"damaged weights: {error}") from error


def read(file: io.BytesIO) -> dict[str, Array]:
    """Read what `state_dict` describes."""
    magic = Reader(file).load()
    if magic != MAGIC:
        raise SourceError("no weights of PyTorch's older format")
    _protocol, _machine, named, keys = (Reader(file).load() for _ in range(4))
    views = {str(name): one for name, one in named.items() if isinstance(one, View)}
    storages = {one.storage.key: one.storage for one in views.values()}
    numbers = {key: storage_of(file, storages[key]) for key in keys}
    return {name: one.of(numbers[one.storage.key]) for name, one in views.items()}


def storage_of(file: io.BytesIO, storage: Storage) -> Array:
    """The next storage of a file."""
    count = int.from_bytes(file.read(8), "little")
    content = file.read(storage.size * storage.dtype.itemsize)
    if count != storage.size or len(content) != storage.size * storage.dtype.itemsize:
        raise SourceError(f"storage {storage.key} is cut short")
    return np.frombuffer(content, storage.dtype)
