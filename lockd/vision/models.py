"""The manifest, its files, and the only place that imports a TFLite runtime.

``models/manifest.json`` lists each network's file and SHA-256. A file that is not
the one listed is refused before a runtime sees it: an altered network could name
anybody.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
import mmap
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lockd.errors import ModelError
from lockd.types import Floats, Image

_WORTH_GIVING_BACK = 2**20  # bytes of a network's file

SCHEMA = 1
MANIFEST = "manifest.json"
FETCHED = "fetched.json"
RUNTIMES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
"""Runtime packages by name, the preferred one first, and the module of each."""


class Network:
    """One TFLite network whose input shape is fixed when it is built.

    Resizing at every call costs more than the call for small networks, so a
    network that is wanted at several shapes is built once for each.
    """

    def __init__(
        self,
        runtime: Any,
        path: Path,
        shape: Sequence[int] | None = None,
        *,
        threads: int = 1,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        """Build it.

        Raises:
            ModelError: if the runtime refuses it.
        """
        self._between = between
        try:
            with _muted():
                self._interpreter = runtime.Interpreter(model_path=str(path), num_threads=threads)
                given = self._interpreter.get_input_details()[0]
                self._input: int = given["index"]
                if shape is not None and list(given["shape"]) != list(shape):
                    self._interpreter.resize_tensor_input(self._input, list(shape))
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, SystemError) as error:
            raise ModelError(f"{path}: the TFLite runtime refuses it: {error}") from error
        self._output: int = self._interpreter.get_output_details()[0]["index"]
        self.input_shape: tuple[int, ...] = tuple(
            int(side) for side in self._interpreter.get_input_details()[0]["shape"]
        )

    @property
    def accelerated(self) -> bool:
        """Whether the runtime's XNNPACK kernels run at least a part of it."""
        return any("DELEGATE" in one["op_name"] for one in self._interpreter._get_ops_details())

    def __call__(self, pixels: Floats | Image) -> Floats:
        """Run the network.

        Args:
            pixels: uint8 or float32 of `input_shape`; what range is the manifest's to say.

        Returns:
            The first output, float32, a copy.

        Raises:
            ValueError: if they have another shape.
        """
        self._between()
        if pixels.shape != self.input_shape:
            raise ValueError(f"a network takes {self.input_shape}, not {pixels.shape}")
        # Written where the runtime reads it; no view of that may outlive this line.
        self._interpreter.tensor(self._input)()[:] = pixels
        self._interpreter.invoke()
        output: Floats = self._interpreter.get_tensor(self._output)
        return output


def give_back(path: Path) -> None:
    """Give back the memory in which the runtime has read a file.

    It has packed the weights for its kernels when a network is built, and looks at few of the
    file's pages after that: these are read again. Does nothing where the kernel is not Linux.

    Args:
        path: of a file that this process has mapped, and only reads.
    """
    try:
        mapped = Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines()
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return
    for line in mapped:
        place, rights, *rest = line.split(maxsplit=5)
        if rights.startswith("r--") and rest[-1] == str(path.resolve()):
            start, end = (int(one, 16) for one in place.split("-"))
            advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


@contextmanager
def _muted() -> Iterator[None]:
    """Keep the runtime's greeting, printed by native code, off standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@dataclass
class Models:
    """A checked folder of networks and the runtime that runs them.

    Attributes:
        folder: where the files lie.
        manifest: the parsed ``manifest.json``, with what ``fetched.json`` adds to it.
        runtime_name: one of `RUNTIMES`.
        between: called before each network runs, of which a frame takes dozens.
    """

    folder: Path
    manifest: dict[str, Any]
    runtime_name: str
    _runtime: Any
    between: Callable[[], None] = lambda: None

    @classmethod
    def load(cls, folder: Path, runtime: str = "auto") -> Models:
        """Read the manifest and check every file against it.

        Args:
            folder: holds ``manifest.json``, the ``.tflite`` files and perhaps ``fetched.json``.
            runtime: a name of `RUNTIMES`, or ``auto`` for the first installed one.

        Raises:
            ModelError: if the manifest or a file is missing or altered, or no such
                runtime is installed.
        """
        manifest = _read_manifest(folder / MANIFEST)
        if os.path.lexists(folder / FETCHED):
            manifest = _with_fetched(manifest, folder / FETCHED)
        for name, network in manifest["networks"].items():
            _check_file(name, folder / network["file"], network["sha256"])
        runtime_name, module = _import_runtime(runtime)
        return cls(folder, manifest, runtime_name, module)

    def network(
        self, name: str, shape: Sequence[int] | None = None, *, threads: int = 1
    ) -> Network:
        """Build a network.

        Args:
            name: its key in the manifest.
            shape: (batch, height, width, channels), or None for the file's own.
            threads: that the runtime may use for it.
        """
        path = self.folder / self.manifest["networks"][name]["file"]
        network = Network(self._runtime, path, shape, threads=threads, between=self._pause)
        if path.stat().st_size > _WORTH_GIVING_BACK:
            give_back(path)
        return network

    def _pause(self) -> None:
        self.between()  # as it is by then

    def sha256(self, name: str) -> str:
        """Return the hash of a network's file, in hexadecimal."""
        return str(self.manifest["networks"][name]["sha256"])


def recommended_accept(folder: Path, profile: str) -> float:
    """Return the least similarity of a match that a manifest recommends; no file is checked.

    Raises:
        ModelError: if it cannot be read or has no such composition.
    """
    path = folder / MANIFEST
    try:
        return float(_read_manifest(path)["embedders"][profile]["accept"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: recommends nothing for the profile {profile!r}") from error


def manifest_of(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder of networks; no file is checked.

    Raises:
        ModelError: if it cannot be read.
    """
    return _read_manifest(folder / MANIFEST)


def _read_manifest(path: Path) -> dict[str, Any]:
    mend = "install lockd again, or rebuild the networks with `make models`"
    return _read(path, {"networks", "detector", "embedders", "templates", "centres"}, mend)


def _with_fetched(manifest: dict[str, Any], path: Path) -> dict[str, Any]:
    """The manifest with the networks and liveness compositions of a second one."""
    mend = (
        "add the networks again with `models/build/run.sh --liveness`, or delete this file "
        "to do without them"
    )
    fetched = _read(path, {"networks", "liveness"}, mend)
    whole = dict(manifest)
    for part in ("networks", "liveness"):
        shipped = manifest.get(part, {})
        twice = sorted(shipped.keys() & fetched[part].keys())
        if twice:
            raise ModelError(f"{path}: {part} {', '.join(twice)} came with lockd; {mend}")
        whole[part] = {**shipped, **fetched[part]}
    strange = [one["file"] for one in fetched["networks"].values() if not _beside(one["file"])]
    if strange:
        raise ModelError(f"{path}: {strange[0]!r} does not lie beside it; {mend}")
    return whole


def _beside(file: str) -> bool:
    return file == Path(file).name


def _read(path: Path, wanted: set[str], mend: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; {mend}") from error
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error}); {mend}") from error
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise ModelError(f"{path}: schema {found!r}, this lockd reads schema {SCHEMA}; {mend}")
    missing = wanted - content.keys()
    if missing:
        raise ModelError(f"{path}: lacks {', '.join(sorted(missing))}; {mend}")
    return dict(content)


def _check_file(name: str, path: Path, wanted: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"{path}: {error.strerror}; the network {name} is missing: "
            "install lockd again, or run `git checkout models`"
        ) from error
    if found != wanted:
        raise ModelError(
            f"{path}: its SHA-256 is {found}, the manifest says {wanted}; "
            "the file was altered or cut short: install lockd again, or run `git checkout models`"
        )


def _import_runtime(wanted: str) -> tuple[str, Any]:
    names = list(RUNTIMES) if wanted == "auto" else [wanted]
    unknown = [name for name in names if name not in RUNTIMES]
    if unknown:
        raise ModelError(f"runtime {unknown[0]!r} is unknown; use auto, {', '.join(RUNTIMES)}")
    reasons = []
    for name in names:
        try:
            return name, importlib.import_module(RUNTIMES[name])
        except ImportError as error:
            reasons.append(f"{name}: {error}")
    raise ModelError(
        f"no TFLite runtime can be imported ({'; '.join(reasons)}); run `pip install {names[0]}`"
    )


def as_input(image: np.ndarray[Any, Any]) -> Floats:
    """Return uint8 (H, W, 3) pixels as float32 (1, H, W, 3), values unchanged."""
    return image.astype(np.float32)[None]
