"""Runs the console: asks the service what it is to be, and serves it."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import uvicorn

from lockd.config import ConsoleSettings
from lockd.errors import ConfigError, ControlError
from lockd.web.accounts import Accounts
from lockd.web.application import ConsoleView, application
from lockd.web.link import Link, LinkError

log = logging.getLogger(__name__)

_RETRY_S = 2.0
_KEEP_ALIVE_S = 20
_MOST_CONNECTIONS = 100


def serve(socket: Path, state: Path) -> None:
    """Serve the console until it is told to end.

    Until the service answers, which says where and how, it waits.

    Args:
        socket: the service's for the console.
        state: the console's folder, with its accounts.

    Raises:
        ConfigError: if the certificate cannot be used.
        ControlError: if the service refuses this user.
    """
    view = asyncio.run(_asked(Link(socket)))
    settings = view.settings
    config = uvicorn.Config(
        application(view, Link(socket), Accounts(state)),
        host=settings.host, port=settings.port, log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_keep_alive=_KEEP_ALIVE_S,
        limit_concurrency=_MOST_CONNECTIONS, timeout_graceful_shutdown=2, ws="none",
        lifespan="off", ssl_certfile=settings.certificate, ssl_keyfile=settings.key,
    )  # fmt: skip
    _check_certificate(settings)
    log.info("console: %s", address(settings))
    uvicorn.Server(config).run()


def address(settings: ConsoleSettings) -> str:
    """Return where browsers find it."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.encrypted else 'http'}://{host}:{settings.port}/"


async def _asked(link: Link) -> ConsoleView:
    told = False
    while True:
        try:
            return ConsoleView.of(await link.ask("settings", None))
        except LinkError as error:
            if error.result != "down":
                raise ControlError(f"the service refuses the console: {error.reason}") from error
            if not told:
                log.warning("console: %s; waiting for it", error.reason)
                told = True
        await asyncio.sleep(_RETRY_S)


def _check_certificate(settings: ConsoleSettings) -> None:
    if settings.certificate is None or settings.key is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"console.certificate: {settings.certificate} with {settings.key}: {error}; both must "
            "be PEM, belong together, and be readable by the console's user"
        ) from error
