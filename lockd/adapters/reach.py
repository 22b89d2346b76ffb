"""Whom the service has to reach over the network, as systemd's `IPAddressAllow=` writes it.

The unit denies every address but this machine's own; the drop-in that `lockd install` writes
adds the broker's and the camera's, and the list of releases' with `update.check_h`. systemd knows
no names, and a name may lead elsewhere tomorrow. So an address in digits is allowed alone. A name
of this network allows every private address, and the name server's. A name of the Internet allows
everything, and says so.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from lockd.config import STREAM_SCHEMES, Settings

PRIVATE = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
    *("169.254.0.0/16", "fe80::/10", "fc00::/7"),
)
"""Addresses that no router of the Internet passes on (RFC 1918, 6598, 3927, 4291, 4193)."""
ANY = ("0.0.0.0/0", "::/0")
LOCAL = ("127.0.0.0/8", "::1/128")
_WORDS = {"any": ANY, "localhost": LOCAL, "link-local": ("169.254.0.0/16", "fe80::/64")}
_LOCAL_NAMES = (".local", ".lan", ".home", ".internal", ".home.arpa", ".localdomain")
_HEAD = """\
# Written by `lockd install`, from the configuration: whom the service may speak to, besides this
# machine. After a change of mqtt.host or camera.source run `sudo lockd install` again;
# `lockd doctor` says when this does not fit any more.
[Service]
"""


@dataclass(frozen=True, slots=True)
class Need:
    """Somebody who must be reached.

    Attributes:
        what: names the setting, and why so much is allowed.
        networks: in CIDR notation.
    """

    what: str
    networks: tuple[str, ...]

    @property
    def all_of_it(self) -> bool:
        """Whether nothing is denied for its sake."""
        return self.networks == ANY


def addresses_of(name: str) -> list[str]:
    """Return what a name leads to just now; nothing if nobody knows."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(one[4][0]).partition("%")[0] for one in found})


def needs(
    settings: Settings,
    resolve: Callable[[str], Sequence[str]] = addresses_of,
    resolvers: Path = Path("/etc/resolv.conf"),
) -> list[Need]:
    """Return who must be reached besides this machine.

    Args:
        resolve: a name's addresses.
        resolvers: names the name servers, whom the C library asks in the service's own name.
    """
    found, named = [], False
    for setting, host in _hosts(settings):
        address = _address(host)
        if address is not None:
            found.append(Need(f"{setting}: {host}", (str(ip_network(address)),)))
        elif host.lower() != "localhost":
            named = True
            found.append(_of_a_name(setting, host, resolve(host)))
    if named:
        servers = tuple(str(ip_network(one)) for one in _name_servers(resolvers))
        found += [Need("the name servers", servers)] if servers else []
    return [one for one in found if not _within(one.networks, LOCAL)]


def drop_in(wanted: Sequence[Need]) -> str:
    """Return the file that allows them."""
    return _HEAD + "".join(
        f"# {one.what}\nIPAddressAllow={' '.join(one.networks)}\n" for one in wanted
    )


def allowed(texts: Sequence[str]) -> list[str]:
    """Return the networks that a unit and its drop-ins let through.

    Args:
        texts: in the order in which systemd reads them.
    """
    found: dict[str, list[str]] = {"IPAddressAllow": [], "IPAddressDeny": []}
    for line in "\n".join(texts).splitlines():
        key, _, value = line.strip().partition("=")
        if key in found:
            words = value.split()
            found[key] = [*found[key], *words] if words else []
    if not found["IPAddressDeny"]:
        return [*ANY]
    return [net for word in found["IPAddressAllow"] for net in _WORDS.get(word, (word,))]


def unreached(wanted: Sequence[Need], networks: Sequence[str]) -> list[Need]:
    """Return those who are not let through."""
    return [one for one in wanted if not _within(one.networks, networks)]


def _hosts(settings: Settings) -> Iterator[tuple[str, str]]:
    cameras = [("camera", settings.camera), ("camera.infrared", settings.camera.infrared)]
    for setting, camera in cameras:
        source = "" if camera is None else str(camera.source)
        if source.startswith(STREAM_SCHEMES):
            yield f"{setting}.source", urlsplit(source).hostname or ""
    if settings.mqtt.host is not None:
        yield "mqtt.host", settings.mqtt.host
    if settings.update.check_h and (settings.update.index or "").startswith("https://"):
        yield "update.index", urlsplit(settings.update.index or "").hostname or ""


def _of_a_name(setting: str, host: str, found: Sequence[str]) -> Need:
    """What a name may lead to, now and later."""
    local = "." not in host or host.lower().endswith(_LOCAL_NAMES)
    if found:
        local = _within([str(ip_network(one)) for one in found], (*PRIVATE, *LOCAL))
    if local:
        return Need(
            f"{setting}: {host} is a name, which may lead to another address of this network "
            "tomorrow; with an address in digits only that is allowed",
            PRIVATE,
        )
    return Need(
        f"{setting}: {host} is a name of the Internet, which may lead anywhere, so nothing is "
        "denied; write an address in digits",
        ANY,
    )


def _name_servers(file: Path) -> Iterator[IPv4Address | IPv6Address]:
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            address = _address(words[1].partition("%")[0])
            if address is not None and not address.is_loopback:
                yield address


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _within(inner: Sequence[str], outer: Sequence[str]) -> bool:
    """Whether each of some networks lies in one of others."""
    around = [ip_network(one, strict=False) for one in outer]
    return all(
        any(
            net.version == one.version and net.subnet_of(one)  # type: ignore[arg-type]
            for one in around
        )
        for net in (ip_network(one, strict=False) for one in inner)
    )
