"""Alerts through Apprise: a hundred further chat rooms, pagers and mail services, each named by a URL of its own.

The library opens its connections by itself and blocks meanwhile, so each message has a thread and a deadline. It is an
extra of the package. Its URLs hold passwords: of its own words only the status of a refusal gets out of here.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache, partial
from types import ModuleType

from gradatim.api.durations import format_duration
from gradatim.ports.errors import ProviderError
from gradatim.ports.notifier import AlertMessage

TYPE = "apprise"
"""`spec.type` of an AlertProvider."""
DEADLINE = 15.0
"""Seconds for one message to one URL."""
AT_ONCE = 16
"""Messages on their way; what hangs beyond its deadline counts until it ends."""

_KINDS = {"info": "info", "warn": "warning", "error": "failure"}
_REFUSED = re.compile(r"error\W+(\d{3})\b")


def check(addresses: str, proxy: str = "") -> list[str]:
    """The URLs of an address, which blanks and line breaks separate; raises ProviderError for what cannot work."""
    if importlib.util.find_spec("apprise") is None:
        raise ProviderError(
            "the library Apprise is not installed beside the operator", "run pip install 'gradatim[apprise]' there"
        )
    if proxy:
        raise ProviderError("type apprise knows no proxy", "set HTTPS_PROXY of the operator and leave spec.proxy out")
    urls = addresses.split()
    for number, url in enumerate(urls, 1):
        if "://" not in url:
            raise ProviderError(f"URL {number} is none of Apprise's", "write one such as mailto://user:password@host")
    return urls


class AppriseRooms:
    """Sends messages to Apprise's URLs."""

    def __init__(self, seconds: float = DEADLINE, at_once: int = AT_ONCE) -> None:
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(at_once)

    async def send(self, addresses: str, message: AlertMessage) -> None:
        """Deliver to every URL; raises ProviderError with those that failed, by their place and never by their text."""
        urls = check(addresses)
        outcomes = await asyncio.gather(*(self._one(url, message) for url in urls))
        failed = [f"URL {number}: {said}" for number, said in enumerate(outcomes, 1) if said]
        if failed:
            raise ProviderError("; ".join(failed))

    async def _one(self, url: str, message: AlertMessage) -> str:
        """What went wrong with one URL, or nothing."""
        if not self._free.acquire(blocking=False):
            return "too many messages are on their way already"
        sent = _in_thread(partial(_deliver, url, message), self._free.release)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(sent), self._seconds)
        except TimeoutError:
            return f"no answer within {format_duration(self._seconds)}"


def _in_thread(work: Callable[[], str], done: Callable[[], None]) -> Future[str]:
    """Begin work in a thread that does not hold up the end of the process; an executor's threads would."""
    future: Future[str] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - plugins raise anything, and their words may show the URL
            future.set_result(f"failed with {type(error).__name__}")
        finally:
            done()

    threading.Thread(target=run, name="apprise", daemon=True).start()
    return future


def _deliver(url: str, message: AlertMessage) -> str:
    """Send one message, blocking; what went wrong, or nothing."""
    library = _library()
    room = library.Apprise(asset=_asset(library))
    if not room.add([url]):
        return "Apprise cannot use it; its documentation says how URLs of each service are written"
    _heard.status = ""
    details = "".join(f"\n{name}: {value}" for name, value in message.fields)
    delivered = room.notify(
        body=message.text + details,
        title=message.author,
        notify_type=_KINDS[message.severity],
        body_format=library.NotifyFormat.TEXT,
    )
    if delivered:
        return ""
    status = f" with status {_heard.status}" if _heard.status else ", or it could not be reached"
    return f"{room[0].service_name} refused the message{status}"


def _asset(library: ModuleType) -> object:
    """How Apprise presents itself. It calls in our thread; versions 2 have threads and deadlines of their own."""
    ours = {"app_id": "Gradatim", "app_desc": "Progressive delivery", "async_mode": False}
    try:
        return library.AppriseAsset(**ours, service_timeout=0)
    except AttributeError:
        return library.AppriseAsset(**ours)


@cache
def _library() -> ModuleType:
    """Apprise, made safe to be told URLs by anybody who may write an AlertProvider."""
    log = logging.getLogger("apprise")
    log.setLevel(logging.WARNING)
    log.addFilter(_overhear)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # it writes paths, which are tokens
    library = importlib.import_module("apprise")
    attachments = library.AttachmentManager()
    attachments.remove(*attachments.schemas())  # URLs could have the operator's own files sent away, as templates
    return library


_heard = threading.local()


def _overhear(record: logging.LogRecord) -> bool:
    """Note of Apprise's complaints what may be told, the status of an answer, and let none of them through."""
    if found := _REFUSED.search(record.getMessage()):
        _heard.status = found[1]
    return False
