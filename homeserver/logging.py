"""Log lines on standard error: readable ones for people, JSON for machines."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import orjson

from homeserver.config import LogFormat, LoggingConfig
from services.observations import Observation

LOG = logging.getLogger("hearth")


class TextLines(logging.Formatter):
    """`2026-11-24 11:05:09.123 WARNING alice.example: what happened`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below where there is one."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        line = f"{at} {record.levelname:7} {_subject(record)}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The object, in one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "about": _subject(record),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def start_logging(config: LoggingConfig) -> None:
    """From now on all loggers, ours and those of libraries, write to standard error."""
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(JsonLines() if config.format is LogFormat.JSON else TextLines())
    logging.basicConfig(handlers=[output], level=logging.WARNING, force=True)
    LOG.setLevel(config.level.name)


def log_observation(subject: str, observation: Observation) -> None:
    """Writes what happened; an error that is part of it with its traceback."""
    error = getattr(observation, "error", None) or getattr(observation, "failure", None)
    if LOG.isEnabledFor(observation.level):
        info = (type(error), error, error.__traceback__) if isinstance(error, BaseException) else None
        LOG.log(observation.level, "%s", observation, exc_info=info, extra={"subject": subject})


def _subject(record: logging.LogRecord) -> str:
    return getattr(record, "subject", record.name)
