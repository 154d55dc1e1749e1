"""Log lines on standard error: one JSON object a line with Flagger's keys, or plain text for people."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import msgspec

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "error": logging.ERROR}
_STANDARD = frozenset(vars(logging.makeLogRecord({})))


def configure(level: str, encoding: str) -> None:
    """Send all log lines of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if encoding == "json" else Console())
    wanted = {"warn": logging.WARNING, "warning": logging.WARNING, "fatal": logging.CRITICAL, "panic": logging.CRITICAL}
    logging.basicConfig(level={**_LEVELS, **wanted}.get(level, logging.INFO), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiohttp").setLevel(logging.WARNING)


class Json(logging.Formatter):
    """Keys `level`, `ts`, `caller`, `msg`, whatever was bound besides, and `stacktrace`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "level": {"WARNING": "warn", "CRITICAL": "fatal"}.get(record.levelname, record.levelname.lower()),
            "ts": datetime.fromtimestamp(record.created, tz=UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "caller": f"{record.module}.py:{record.lineno}",
            "msg": record.getMessage(),
        }
        line.update({key: str(value) for key, value in vars(record).items() if key not in _STANDARD})
        line.pop("message", None)
        line.pop("asctime", None)
        if record.exc_info:
            line["stacktrace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class Console(logging.Formatter):
    """Time, level, Canary and message, for reading."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, tz=UTC).strftime("%H:%M:%S.%f")[:-3]
        canary = getattr(record, "canary", "")
        text = f"{time} {record.levelname:<7} {f'{canary}: ' if canary else ''}{record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text
