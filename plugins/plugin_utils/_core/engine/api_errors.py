# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine refuses and what is no answer, as errors of ours: the only ones that leave this room."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from ..errors import EngineError, EngineUnavailableError, TierwrightError, described

ADVICE = (
    "start one (`ansible-playbook playbooks/engine.yml` installs and starts the distribution's own where you are "
    "root or may become root), or set DOCKER_HOST to one that runs"
)


class RefusedError(EngineError):
    """The engine answered, and refused."""

    #: HTTP status of the answer; ``None`` where there was none.
    status: int | None = None


class MissingError(RefusedError):
    """The engine holds no such thing."""

    status = HTTPStatus.NOT_FOUND


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the SDK's errors into ours.

    Args:
        doing: What was being done to which thing: ``"tagging httpd-php:latest"``.

    Raises:
        MissingError: The engine holds no such thing.
        RefusedError: The engine refused or failed; its own words are in the message.
        EngineError: Its answer has another form than that of the Engine API; so what is read of an answer belongs in
            the ``with`` statement.
        EngineUnavailableError: The connection broke.
    """
    try:
        yield
    except TierwrightError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise EngineError(f"{doing}: the engine's answer cannot be understood: {described(error)}") from error
    except Exception as error:
        ours = _ours(doing, error)
        if ours is None:
            raise
        raise ours from error


def _ours(doing: str, error: Exception) -> EngineError | None:
    """Our error for one of the SDK's, or of the connection; ``None`` for any other."""
    sdk = sys.modules.get("docker.errors")  # what was never imported has raised nothing
    if sdk is not None and isinstance(error, sdk.APIError):
        missing = isinstance(error, sdk.NotFound) or error.status_code == HTTPStatus.NOT_FOUND
        kind = MissingError if missing else RefusedError
        ours = kind(f"{doing}: the engine says: {error.explanation or error}")
        ours.status = error.status_code or kind.status
        return ours
    if isinstance(error, OSError) or (sdk is not None and isinstance(error, sdk.DockerException)):
        return EngineUnavailableError(f"{doing}: the engine stopped answering ({innermost(error)}); {ADVICE}")
    return None


def listed(answer: Any) -> list[Any]:
    """Take an answer that has to be a list: an empty dictionary would pass for an empty one.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(answer, list):
        raise TypeError(f"{type(answer).__name__} where a list belongs")
    return answer


def innermost(error: BaseException) -> str:
    """Say what was at the bottom of an error: those of the SDK wrap others."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
