"""Both formats of a list of pairs, and every way to get one wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockd.errors import ImageError
from lockd.evaluation.pairs import Pair, read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for person, count in (("Ada", 3), ("Grace", 2)):
        (tmp_path / "people" / person).mkdir(parents=True)
        for number in range(1, count + 1):
            suffix = ".png" if person == "Grace" else ".jpg"
            (tmp_path / "people" / person / f"{person}_{number:04}{suffix}").touch()
    return tmp_path / "people"


def listed(folder: Path, text: str) -> Path:
    path = folder.parent / "pairs"
    path.write_text(text, "utf-8")
    return path


def test_lfws_pairs_are_found_by_number(folder: Path) -> None:
    path = listed(folder, "1\nAda\t1\t3\nAda\t2\tGrace\t1\n")
    pairs, photographs = read(path, folder)
    assert pairs == [
        Pair("Ada/Ada_0001.jpg", "Ada/Ada_0003.jpg", True),
        Pair("Ada/Ada_0002.jpg", "Grace/Grace_0001.png", False),
    ]
    assert [(one.person, one.path.name) for one in photographs] == [
        ("Ada", "Ada_0001.jpg"),
        ("Ada", "Ada_0003.jpg"),
        ("Ada", "Ada_0002.jpg"),
        ("Grace", "Grace_0001.png"),
    ]


def test_lfws_folds_are_kept(folder: Path) -> None:
    lines = ["2\t1", "Ada\t1\t2", "Ada\t1\tGrace\t1", "Grace\t1\t2", "Ada\t2\tGrace\t2"]
    pairs, _ = read(listed(folder, "\n".join(lines)), folder)
    assert [one.fold for one in pairs] == [0, 0, 1, 1]
    assert [one.same for one in pairs] == [True, False, True, False]


@pytest.mark.parametrize(
    ("yes", "no"), [("1", "0"), ("yes", "No"), ("TRUE", "false"), ("same", "different")]
)
def test_csv_says_yes_and_no_in_several_ways(folder: Path, yes: str, no: str) -> None:
    text = f"first,second,same\r\nAda/Ada_0001.jpg,Ada/Ada_0002.jpg,{yes}\r\n\r\n"
    text += f"Ada/Ada_0001.jpg, ./Grace/Grace_0001.png ,{no}\r\n"
    pairs, photographs = read(listed(folder, text), folder)
    assert pairs == [
        Pair("Ada/Ada_0001.jpg", "Ada/Ada_0002.jpg", True),
        Pair("Ada/Ada_0001.jpg", "Grace/Grace_0001.png", False),
    ]
    assert len(photographs) == 3


def test_a_byte_order_mark_is_no_part_of_the_header(folder: Path) -> None:
    path = folder.parent / "pairs"
    path.write_bytes("\ufeff1\nAda 1 2\nAda 1 Grace 1\n".encode())
    assert len(read(path, folder)[0]) == 2


def test_every_missing_photograph_is_named_at_once(folder: Path) -> None:
    text = "a,b,same\nAda/Ada_0009.jpg,Ada/Ada_0001.jpg,1\nNobody/x.jpg,Ada/Ada_0009.jpg,0\n"
    with pytest.raises(ImageError, match="2 of 3 photographs are not in") as caught:
        read(listed(folder, text), folder)
    assert "Ada/Ada_0009.jpg" in str(caught.value)
    assert "Nobody/x.jpg" in str(caught.value)
    with pytest.raises(ImageError, match=r"Eve/Eve_0001\.jpg"):
        read(listed(folder, "1\nAda 1 2\nAda 1 Eve 1\n"), folder)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a,b,c\nAda/Ada_0001.jpg,Ada/Ada_0002.jpg,maybe\n", "line 2"),
        ("a,b,c\n\nAda/Ada_0001.jpg,Ada/Ada_0002.jpg\n", "line 3"),
        ("a,b,c\n,Ada/Ada_0002.jpg,1\n", "line 2"),
        ("1\nAda 1 2\nAda one Grace 1\n", "line 3"),
        ("1\nAda 1\nAda 1 Grace 1\n", "line 2"),
        ("Ada/Ada_0001.jpg,Ada/Ada_0002.jpg,1\n", "line 1"),
    ],
)
def test_a_malformed_line_is_named_by_its_number(folder: Path, text: str, line: str) -> None:
    with pytest.raises(ImageError, match=line):
        read(listed(folder, text), folder)


def test_a_list_cut_short_is_noticed(folder: Path) -> None:
    with pytest.raises(ImageError, match="promises 2 x 2 x 1 pairs, and 3 follow"):
        read(listed(folder, "2 1\nAda 1 2\nAda 1 Grace 1\nGrace 1 2\n"), folder)


@pytest.mark.parametrize("text", ["", "first,second,same\n", "\n\n"])
def test_a_list_without_pairs_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(ImageError, match="holds no pair"):
        read(listed(folder, text), folder)


def test_a_list_that_cannot_be_read_is_refused(folder: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        read(folder / "none.csv", folder)
    path = folder.parent / "binary"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ImageError, match="cannot be read"):
        read(path, folder)
