"""Whom the service has to reach, and what the unit lets through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.reach import ANY, PRIVATE, allowed, drop_in, needs, unreached
from lockd.config import Settings, parse

UNIT = "[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost\n"


def settings(camera: str | int = 0, broker: str | None = None) -> Settings:
    return Settings.model_validate({"camera": {"source": camera}, "mqtt": {"host": broker}})


def networks(tmp_path: Path, *, found: dict[str, list[str]], **values: Any) -> list[str]:
    resolvers = tmp_path / "resolv.conf"
    resolvers.write_text("# by hand\nnameserver 127.0.0.53\nnameserver 9.9.9.9\nsearch lan\n")
    wanted = needs(settings(**values), lambda name: found.get(name, []), resolvers)
    return [net for one in wanted for net in one.networks]


@pytest.mark.parametrize("broker", [None, "127.0.0.1", "localhost", "::1"])
def test_a_camera_and_a_broker_of_this_machine_need_nobody(tmp_path: Path, broker: str) -> None:
    assert networks(tmp_path, found={}, camera="csi", broker=broker) == []


def test_an_address_is_allowed_alone_and_no_name_server_is_asked(tmp_path: Path) -> None:
    camera = "rtsp://anna:p%40ss@192.168.1.5:554/stream"
    assert networks(tmp_path, found={}, camera=camera, broker="fd00::7") == [
        "192.168.1.5/32",
        "fd00::7/128",
    ]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("camera.local", []),
        ("broker", []),
        ("door.example.org", ["10.0.0.3"]),
        ("broker", ["192.168.7.9", "fd00::7"]),
    ],
)
def test_a_name_of_this_network_may_lead_to_another_of_its_addresses_tomorrow(
    tmp_path: Path, name: str, found: list[str]
) -> None:
    assert networks(tmp_path, found={name: found}, broker=name) == [*PRIVATE, "9.9.9.9/32"]


@pytest.mark.parametrize("found", [[], ["192.168.1.2", "93.184.216.34"], ["93.184.216.34"]])
def test_a_name_of_the_internet_denies_nothing_and_says_so(
    tmp_path: Path, found: list[str]
) -> None:
    name = "broker.example.org"
    assert networks(tmp_path, found={name: found}, broker=name)[:2] == [*ANY]
    (need, *_) = needs(settings(broker=name), lambda _: found, tmp_path / "none")
    assert need.all_of_it
    assert "write an address" in drop_in([need])


def test_a_password_is_not_in_the_drop_in(tmp_path: Path) -> None:
    wanted = needs(settings("https://anna:geheim@192.168.1.5/x?token=geheim"))
    assert "geheim" not in drop_in(wanted)
    assert "192.168.1.5" in drop_in(wanted)


def test_what_the_drop_in_allows_is_let_through_and_nothing_else() -> None:
    wanted = needs(settings("rtsp://192.168.1.5/a", "10.1.2.3"))
    assert unreached(wanted, allowed([UNIT, drop_in(wanted)])) == []
    later = needs(settings("rtsp://192.168.1.6/a", "10.1.2.3"))
    assert [one.what for one in unreached(later, allowed([UNIT, drop_in(wanted)]))] == [
        "camera.source: 192.168.1.6"
    ]


@pytest.mark.parametrize(
    "own",
    ["IPAddressAllow=192.168.0.0/16", "IPAddressDeny=", "IPAddressAllow=any"],
)
def test_what_an_owner_allows_by_hand_counts(own: str) -> None:
    wanted = needs(settings("rtsp://192.168.1.5/a"))
    assert unreached(wanted, allowed([UNIT, f"[Service]\n{own}\n"])) == []


def test_an_empty_list_begins_anew() -> None:
    assert allowed([UNIT, "IPAddressAllow=10.0.0.1\nIPAddressAllow=\nIPAddressAllow=::1"]) == [
        "::1"
    ]


def test_the_second_camera_is_reached_too() -> None:
    text = "camera: {source: 0, infrared: {source: rtsp://192.168.1.7/night}}"
    (need,) = needs(parse(text))
    assert (need.what, need.networks) == (
        "camera.infrared.source: 192.168.1.7",
        ("192.168.1.7/32",),
    )
