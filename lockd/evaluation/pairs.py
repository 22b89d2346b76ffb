"""Lists of pairs of photographs: LFW's ``pairs.txt``, and CSV.

LFW: Huang, Ramesh, Berg and Learned-Miller, "Labeled Faces in the Wild", University of
Massachusetts Technical Report 07-49 (2007). Its first line says how many folds there
are and how many pairs of each kind a fold has; a line ``name 1 4`` is two photographs of
one person, ``name 1 other 2`` are two people's.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lockd.adapters.cameras import list_pictures
from lockd.errors import ImageError
from lockd.evaluation.embeddings import Listed
from lockd.recognition.photographs import entries_of

_YES = {"1", "yes", "true", "same"}
_NO = {"0", "no", "false", "different"}
_NO_HEADER = (_YES | _NO) - {"same", "different"}  # these do name columns
_SHOWN = 20  # missing photographs named in full


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photographs.

    Attributes:
        first: path relative to the folder.
        second: the same.
        same: whether they show one person.
        fold: which fold of its list it belongs to, or None if the list has none.
    """

    first: str
    second: str
    same: bool
    fold: int | None = None


def read(path: Path, folder: Path) -> tuple[list[Pair], list[Listed]]:
    """Read a list of pairs in either format, and find their photographs.

    Args:
        path: LFW's ``pairs.txt``, or CSV: a header, then two paths relative to the
            folder and whether they show one person (1/0, yes/no, true/false,
            same/different).
        folder: one sub-folder per person.

    Returns:
        The pairs, and every photograph in them once.

    Raises:
        ImageError: if the list cannot be read, a line is malformed, or photographs are
            missing; those are all named.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{path}: cannot be read: {reason}") from error
    first = next((line for line in lines if line.strip()), "")
    if first.replace(",", " ").split() and all(one.isdigit() for one in first.split()):
        found = _lfw(lines, path, folder)
    else:
        found = _csv(lines, path)
    if not found:
        raise ImageError(f"{path}: holds no pair of photographs")
    return found, _photographs(found, path, folder)


def _csv(lines: Sequence[str], path: Path) -> list[Pair]:
    pairs = []
    reader = csv.reader(lines)
    header = next(reader, None)
    if header is not None and len(header) >= 3 and header[2].strip().lower() in _NO_HEADER:
        raise ImageError(
            f"{path}, line 1: {','.join(header)!r} is a pair; put a header above it, such as "
            "first,second,same"
        )
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        cells = [cell.strip() for cell in row]
        answer = cells[2].lower() if len(cells) >= 3 else ""
        if not (all(cells[:2]) and answer in _YES | _NO):
            raise ImageError(
                f"{path}, line {reader.line_num}: {','.join(row)!r} is not two paths and "
                "1 or 0 (or yes/no, true/false, same/different)"
            )
        first, second = (PurePosixPath(cell.replace("\\", "/")).as_posix() for cell in cells[:2])
        pairs.append(Pair(first, second, answer in _YES))
    return pairs


def _lfw(lines: Sequence[str], path: Path, folder: Path) -> list[Pair]:
    numbered = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    header = [int(one) for one in numbered[0][1]]
    folds, each = (header[0], header[1]) if len(header) == 2 else (1, header[0])
    pairs: list[Pair] = []
    names = _Names(folder)
    for number, words in numbered[1:]:
        pair = _lfw_pair(words, names)
        if pair is None:
            raise ImageError(
                f"{path}, line {number}: {' '.join(words)!r} is neither `name 1 2` nor "
                "`name 1 other 2`"
            )
        pairs.append(pair)
    if len(header) > 2 or len(pairs) != folds * 2 * each:
        raise ImageError(
            f"{path}: its first line promises {folds} x 2 x {each} pairs, "
            f"and {len(pairs)} follow; the file was cut short, or is of another kind"
        )
    if folds == 1:
        return pairs
    return [
        Pair(one.first, one.second, one.same, index // (2 * each))
        for index, one in enumerate(pairs)
    ]


def _lfw_pair(words: list[str], names: _Names) -> Pair | None:
    if len(words) == 3 and words[1].isdigit() and words[2].isdigit():
        person, one, two = words
        return Pair(names.find(person, int(one)), names.find(person, int(two)), True)
    if len(words) == 4 and words[1].isdigit() and words[3].isdigit():
        person, one, other, two = words
        return Pair(names.find(person, int(one)), names.find(other, int(two)), False)
    return None


class _Names:
    """The files of a folder by person and number, whatever their suffix."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._of: dict[str, dict[str, str]] = {}

    def find(self, person: str, number: int) -> str:
        if person not in self._of:
            self._of[person] = _by_stem(self._folder / person)
        stem = f"{person}_{number:04}"
        return f"{person}/{self._of[person].get(stem, stem + '.jpg')}"


def _by_stem(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    # Of several with one stem the picture, if it is known by its content.
    files = [*entries_of(folder), *list_pictures(folder)]
    return {path.stem: path.name for path in files}


def _photographs(pairs: Iterable[Pair], path: Path, folder: Path) -> list[Listed]:
    """Every photograph once; its person is the folder that it lies in."""
    names = dict.fromkeys(name for pair in pairs for name in (pair.first, pair.second))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        listed = "\n".join(f"  {name}" for name in missing[:_SHOWN])
        more = f"\n  and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise ImageError(
            f"{path}: {len(missing)} of {len(names)} photographs are not in {folder}:\n"
            f"{listed}{more}"
        )
    return [Listed(_person(name), folder / name) for name in names]


def _person(name: str) -> str:
    parent = PurePosixPath(name).parent.as_posix()
    return name if parent == "." else parent
