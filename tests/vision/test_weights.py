"""Published weights are read as data: nothing that a file names is called."""

from __future__ import annotations

import io
import os
import pickle
import sys
import types
from collections import OrderedDict, deque
from typing import Any

import numpy as np
import pytest

from models.build.pytorch import MAGIC, state_dict
from models.build.sources import SourceError


class Storage:
    """What PyTorch writes the place of a tensor's numbers for."""

    def __init__(self, key: str, kind: str, size: int) -> None:
        self.key, self.kind, self.size = key, kind, size


class Tensor:
    """What PyTorch writes for a tensor."""

    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], *strides: int):
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> Any:
        return vars(sys.modules["torch._utils"])["_rebuild_tensor_v2"], self.arguments


class Writer(pickle.Pickler):
    def persistent_id(self, thing: Any) -> Any:
        if not isinstance(thing, Storage):
            return None
        kind = vars(sys.modules["torch"])[thing.kind]
        return ("storage", kind, thing.key, "cuda:0", thing.size, None)


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of PyTorch that a file may be written with."""
    for module, *names in (
        ("torch", "FloatStorage", "LongStorage", "load"),
        ("torch._utils", "_rebuild_tensor_v2"),
    ):
        made = types.ModuleType(module)
        for name in names:
            vars(made)[name] = type(name, (), {"__module__": module})
        monkeypatch.setitem(sys.modules, module, made)


def pickled(*things: Any) -> bytes:
    file = io.BytesIO()
    for thing in things:
        Writer(file, 2).dump(thing)
    return file.getvalue()


def published(
    named: Any, storages: dict[str, np.ndarray[Any, Any]], *, magic: int = MAGIC
) -> bytes:
    """A file as `torch.save` wrote it before version 1.6."""
    head = pickled(magic, 1001, {"little_endian": True}, named, list(storages))
    tail = [len(one).to_bytes(8, "little") + one.tobytes() for one in storages.values()]
    return head + b"".join(tail)


NUMBERS = np.arange(6, dtype=np.float32)


def test_tensors_are_read_by_name_and_as_they_lie() -> None:
    storage = Storage("1", "FloatStorage", 6)
    named = OrderedDict(
        rows=Tensor(storage, 0, (2, 3), 3, 1),
        columns=Tensor(storage, 0, (3, 2), 1, 3),
        last=Tensor(storage, 4, (2,), 1),
        one=Tensor(Storage("2", "LongStorage", 1), 0, ()),
    )
    found = state_dict(published(named, {"1": NUMBERS, "2": np.array([7])}))
    assert list(found) == ["rows", "columns", "last", "one"]
    np.testing.assert_array_equal(found["rows"], NUMBERS.reshape(2, 3))
    np.testing.assert_array_equal(found["columns"], NUMBERS.reshape(2, 3).T)
    np.testing.assert_array_equal(found["last"], [4, 5])
    assert found["one"] == 7


class Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("exit 3",)


@pytest.mark.parametrize("place", range(5))
def test_whatever_else_a_file_names_is_refused(place: int) -> None:
    parts: list[Any] = [MAGIC, 1001, {}, OrderedDict(), []]
    parts[place] = {"a": Hostile()}
    with pytest.raises(SourceError, match=r"wants to call (posix|nt)\.system"):
        state_dict(pickled(*parts))


@pytest.mark.parametrize("named", [eval, pickle.loads, deque], ids=str)
def test_a_name_is_refused_even_if_it_is_not_called(named: Any) -> None:
    with pytest.raises(SourceError, match=rf"wants to call \w+\.{named.__name__}"):
        state_dict(pickled(MAGIC, 1001, {}, {"a": named}, []))


def test_other_names_of_pytorch_are_refused_as_well() -> None:
    named = vars(sys.modules["torch"])["load"]
    with pytest.raises(SourceError, match=r"wants to call torch\.load"):
        state_dict(pickled(MAGIC, 1001, {}, {"a": named}, []))


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(1, (6,), (1,)), (0, (7,), (1,)), (0, (2,), (6,)), (0, (2,), (-1,)), (-1, (2,), (1,))],
)
def test_a_tensor_outside_of_its_numbers_is_refused(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    tensor = Tensor(Storage("1", "FloatStorage", 6), offset, shape, *strides)
    with pytest.raises(SourceError, match="outside of its storage"):
        state_dict(published(OrderedDict(a=tensor), {"1": NUMBERS}))


def good() -> bytes:
    tensor = Tensor(Storage("1", "FloatStorage", 6), 0, (6,), 1)
    return published(OrderedDict(a=tensor), {"1": NUMBERS})


@pytest.mark.parametrize("kept", [0, 1, 10, 100, -1, -8, -24])
def test_a_file_cut_short_is_refused(kept: int) -> None:
    assert state_dict(good())
    with pytest.raises(SourceError):
        state_dict(good()[:kept])


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(100), b"\x80\x02K\x05.", b"no pickle"])
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(SourceError):
        state_dict(content)


def test_another_kind_of_numbers_is_refused() -> None:
    tensor = Tensor(Storage("1", "FloatStorage", 5), 0, (5,), 1)
    with pytest.raises(SourceError, match="cut short"):
        state_dict(published(OrderedDict(a=tensor), {"1": NUMBERS}))
