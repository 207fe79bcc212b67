# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Translation of errors of the engine and of the SDK into errors of this library. Only these leave this package."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

from ..errors import EngineError, EngineUnavailableError, TierwrightError, describe_error

ADVICE = (
    "start one (if you are root or may become root, `ansible-playbook playbooks/engine.yml` installs and starts the "
    "engine of the distribution), or set DOCKER_HOST to a running engine"
)


#: Podman answers so, with status 500, if a container is removed during a request (`libpod/define/errors.go`).
_REMOVED_MEANWHILE = "no such container"


class StatusError(Exception):
    """A response with an error status, to a request without the SDK."""

    def __init__(self, status: int, content: bytes) -> None:
        """Take the status, and the content of the response. The engine's message is in it."""
        super().__init__(_message(content))
        self.status = status


def _message(content: bytes) -> str:
    text = content.decode(errors="replace").strip()
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        text = str(json.loads(text)["message"])
    return text


class RefusedError(EngineError):
    """The engine rejected a request."""

    #: HTTP status of the response; ``None`` if there was no response.
    status: int | None = None


class MissingError(RefusedError):
    """The object does not exist on the engine."""

    status = HTTPStatus.NOT_FOUND


@contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Translate errors of requests, with and without the SDK, into errors of this library.

    Read the fields of a response inside the ``with`` statement too: then an unexpected form becomes an error here.

    Args:
        action: What is being done to which object: ``"tagging httpd-php:latest"``.

    Raises:
        MissingError: The object does not exist on the engine.
        RefusedError: The engine rejected the request or failed. The error contains the message of the engine.
        EngineError: The response does not have the form that the Engine API defines.
        EngineUnavailableError: The connection broke.
    """
    try:
        yield
    except TierwrightError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise EngineError(f"{action}: the engine's answer cannot be understood: {describe_error(error)}") from error
    except Exception as error:
        translated = _translate(action, error)
        if translated is None:
            raise
        raise translated from error


def _translate(action: str, error: Exception) -> EngineError | None:
    """Translate an error of the SDK or of the connection; ``None`` for any other error."""
    if isinstance(error, StatusError):
        return _refused(action, error.status, str(error))
    sdk = sys.modules.get("docker.errors")  # it can have raised an error only if it was imported
    if sdk is not None and isinstance(error, sdk.APIError):
        status = HTTPStatus.NOT_FOUND if isinstance(error, sdk.NotFound) else error.status_code
        return _refused(action, status, str(error.explanation or error))
    if isinstance(error, OSError) or (sdk is not None and isinstance(error, sdk.DockerException)):
        return EngineUnavailableError(f"{action}: the engine stopped answering ({root_cause(error)}); {ADVICE}")
    return None


def _refused(action: str, status: int | None, message: str) -> RefusedError:
    if status == HTTPStatus.INTERNAL_SERVER_ERROR and message.endswith(_REMOVED_MEANWHILE):
        status = HTTPStatus.NOT_FOUND
    kind = MissingError if status == HTTPStatus.NOT_FOUND else RefusedError
    refused = kind(f"{action}: the engine says: {message}")
    refused.status = status
    return refused


def require_list(answer: Any) -> list[Any]:
    """Return ``answer`` if it is a list. Without this check, an empty dictionary would pass as an empty list.

    Raises:
        TypeError: It is not a list.
    """
    if not isinstance(answer, list):
        raise TypeError(f"found {type(answer).__name__}, expected a list")
    return answer


def root_cause(error: BaseException) -> str:
    """Return the message of the first error in a chain of errors. Errors of the SDK wrap other errors."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
