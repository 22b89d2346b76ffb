"""The networks' files are the ones listed, and whatever else is wrong says so."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lockd.errors import ModelError
from lockd.recognition.recogniser import Vision
from lockd.vision.models import RUNTIMES, SCHEMA, Models, as_input
from tests.conftest import ROOT

SMALLEST = "mtcnn-pnet.tflite"
EDITS = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the networks, to be damaged."""
    copy = tmp_path / "models"
    copy.mkdir()
    for file in (*(ROOT / "models").glob("*.tflite"), ROOT / "models" / "manifest.json"):
        shutil.copy(file, copy)
    return copy


def refusal(folder: Path, runtime: str = "auto") -> str:
    with pytest.raises(ModelError) as caught:
        Models.load(folder, runtime)
    return str(caught.value)


def edit(folder: Path, change: EDITS) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_the_networks_that_come_with_lockd_are_the_ones_listed() -> None:
    models = Models.load(ROOT / "models")
    assert models.runtime_name in RUNTIMES
    assert set(models.manifest["detector"].values()) <= models.manifest["networks"].keys()
    for listed in models.manifest["networks"].values():
        assert (ROOT / "models" / listed["file"]).stat().st_size == listed["bytes"]


def test_a_copy_of_the_folder_is_as_good(folder: Path) -> None:
    assert Models.load(folder).sha256("facenet") == Models.load(ROOT / "models").sha256("facenet")


@pytest.mark.parametrize("name", ["mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet", "facenet"])
def test_a_network_with_one_bit_altered_is_refused(folder: Path, name: str) -> None:
    file = folder / f"{name}.tflite"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    message = refusal(folder)
    assert str(file) in message
    assert "altered or cut short" in message
    assert "git checkout models" in message


@pytest.mark.parametrize("kept", [0, 1, 0.999])
def test_a_network_cut_short_is_refused(folder: Path, kept: float) -> None:
    file = folder / SMALLEST
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    message = refusal(folder)
    assert str(file) in message
    assert "altered or cut short" in message


def test_a_network_in_the_place_of_another_is_refused(folder: Path) -> None:
    shutil.copy(folder / "mtcnn-rnet.tflite", folder / "mtcnn-onet.tflite")
    assert "mtcnn-onet.tflite" in refusal(folder)


def test_a_missing_network_is_named_with_the_way_out(folder: Path) -> None:
    (folder / SMALLEST).unlink()
    message = refusal(folder)
    assert str(folder / SMALLEST) in message
    assert "mtcnn-pnet is missing" in message
    assert "install lockd again" in message


def test_a_folder_in_the_place_of_a_network_is_refused(folder: Path) -> None:
    (folder / SMALLEST).unlink()
    (folder / SMALLEST).mkdir()
    assert str(folder / SMALLEST) in refusal(folder)


def test_every_file_is_checked_before_a_runtime_is_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported: list[str] = []
    monkeypatch.setattr(importlib, "import_module", imported.append)
    (folder / "facenet.tflite").write_bytes(b"TFL3")
    refusal(folder)
    assert imported == []


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path)
    assert str(tmp_path / "manifest.json") in message
    assert "No such file" in message
    assert "make models" in message


@pytest.mark.parametrize("content", [b"", b"{", b"manifest", b"\xff\xfe{}"])
def test_a_manifest_that_is_not_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    message = refusal(folder)
    assert str(folder / "manifest.json") in message
    assert "not JSON" in message
    assert "make models" in message


@pytest.mark.parametrize("content", ["[]", "null", "3", '"manifest"', "{}"])
def test_json_that_is_no_manifest_is_refused(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content)
    assert "schema None" in refusal(folder)


@pytest.mark.parametrize("schema", [SCHEMA + 1, 0, str(SCHEMA), None])
def test_a_manifest_of_another_schema_is_refused_and_both_are_named(
    folder: Path, schema: object
) -> None:
    edit(folder, lambda manifest: manifest.update(schema=schema))
    message = refusal(folder)
    assert f"schema {schema!r}" in message
    assert f"reads schema {SCHEMA}" in message


@pytest.mark.parametrize("key", ["networks", "detector", "embedders"])
def test_a_manifest_that_lacks_a_part_names_it(folder: Path, key: str) -> None:
    edit(folder, lambda manifest: manifest.pop(key))
    message = refusal(folder)
    assert str(folder / "manifest.json") in message
    assert f"lacks {key}" in message


def test_everything_a_manifest_lacks_is_named_at_once(folder: Path) -> None:
    edit(folder, lambda manifest: (manifest.pop("networks"), manifest.pop("detector")))  # type: ignore[func-returns-value]
    assert "lacks detector, networks" in refusal(folder)


def test_an_unknown_runtime_is_refused_and_the_known_ones_are_named() -> None:
    message = refusal(ROOT / "models", "onnxruntime")
    assert "'onnxruntime' is unknown" in message
    assert all(name in message for name in RUNTIMES)


def test_a_runtime_that_is_not_installed_is_refused_and_no_other_takes_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    message = refusal(ROOT / "models", "tflite-runtime")
    assert "pip install tflite-runtime" in message
    assert "ai-edge-litert" not in message


def test_without_any_runtime_every_attempt_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> types.ModuleType:
        raise ImportError(f"no {name} on this machine")

    monkeypatch.setattr(importlib, "import_module", missing)
    message = refusal(ROOT / "models")
    for module in RUNTIMES.values():
        assert f"no {module} on this machine" in message
    assert "pip install ai-edge-litert" in message


def test_the_older_runtime_is_used_where_only_it_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    older = types.ModuleType("tflite_runtime.interpreter")

    def only_older(name: str) -> types.ModuleType:
        if name == RUNTIMES["tflite-runtime"]:
            return older
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", only_older)
    assert Models.load(ROOT / "models").runtime_name == "tflite-runtime"


def test_a_listed_file_that_is_no_network_is_a_model_error(folder: Path) -> None:
    import hashlib

    rubbish = b"not a flat buffer" * 100
    (folder / SMALLEST).write_bytes(rubbish)
    edit(
        folder,
        lambda manifest: manifest["networks"]["mtcnn-pnet"].update(
            sha256=hashlib.sha256(rubbish).hexdigest()
        ),
    )
    models = Models.load(folder)
    with pytest.raises(ModelError, match=r"mtcnn-pnet\.tflite: the TFLite runtime refuses it"):
        models.network("mtcnn-pnet")


def test_a_shape_that_a_network_cannot_take_is_a_model_error() -> None:
    with pytest.raises(ModelError, match=r"facenet\.tflite"):
        Models.load(ROOT / "models").network("facenet", (1, 17, 160, 3))


def test_building_a_network_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    Models.load(ROOT / "models").network("mtcnn-rnet")
    assert capfd.readouterr() == ("", "")


def test_a_network_is_built_for_the_shape_asked() -> None:
    network = Models.load(ROOT / "models").network("mtcnn-pnet", (1, 40, 30, 3))
    assert network.input_shape == (1, 40, 30, 3)
    assert network(np.zeros((1, 40, 30, 3), np.float32)).shape == (1, 15, 10, 5)


def test_the_answer_of_a_network_is_a_copy_that_later_calls_leave_alone() -> None:
    network = Models.load(ROOT / "models").network("mtcnn-rnet")
    first = network(np.zeros(network.input_shape, np.float32))
    kept = first.copy()
    network(np.full(network.input_shape, 255, np.float32))
    np.testing.assert_array_equal(first, kept)


def test_pixels_go_in_as_they_are() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    given = as_input(pixels)
    assert given.shape == (1, 2, 4, 3)
    assert given.dtype == np.float32
    np.testing.assert_array_equal(given[0], pixels)


def test_pixels_of_another_shape_are_refused(vision: Vision) -> None:
    network = vision.models.network("mtcnn-rnet")
    with pytest.raises(ValueError, match=r"takes \(1, 24, 24, 3\), not \(2, 24, 24, 3\)"):
        network(np.zeros((2, 24, 24, 3), np.uint8))


def test_bytes_and_floats_of_the_same_picture_have_the_same_answer(vision: Vision) -> None:
    network = vision.models.network("mtcnn-rnet")
    picture = np.random.default_rng(1).integers(0, 256, (1, 24, 24, 3)).astype(np.uint8)
    np.testing.assert_array_equal(network(picture), network(picture.astype(np.float32)))


def test_the_file_of_a_large_network_takes_no_memory_once_it_is_built() -> None:
    models = Models.load(ROOT / "models")
    network = models.network("sface")
    assert resident_kb(ROOT / "models" / "sface.tflite") < 1024
    face = np.full((1, 112, 112, 3), 100, np.float32)
    answer = network(face)
    np.testing.assert_array_equal(models.network("sface")(face), answer)
    np.testing.assert_array_equal(network(face), answer)


def resident_kb(path: Path) -> int:
    """Return how much of a file that is mapped is in memory."""
    resident, mapped = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            mapped = line.endswith(str(path))
        elif mapped and line.startswith("Rss:"):
            resident += int(line.split()[1])
    return resident
