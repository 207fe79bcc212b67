# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors of this library. Their messages are sentences for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .text import printable_lines


class TierwrightError(Exception):
    """Base class of all errors that a user may see.

    The message names the tier and the variable or path, and says what was found, what was expected, and what to do.
    Control characters in it are escaped, because it may quote text from images, engines and containers.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable_lines(message))


class ChainError(TierwrightError):
    """The inventory does not describe a chain that can be built."""


class SourceError(TierwrightError):
    """The root file system of a base could not be made, or does not have the expected checksum or digest."""


class SealError(TierwrightError):
    """A role left a file or a change that the layer of its tier may not or cannot contain."""


class EngineError(TierwrightError):
    """The container engine rejected a request, or failed."""


class EngineUnavailableError(EngineError):
    """No container engine answers."""


class ContainerGoneError(EngineError):
    """A build container ended, or was removed, while it was still needed."""


class TooMuchOutputError(TierwrightError):
    """The output of a command in a container is larger than the limit."""


class RunError(TierwrightError):
    """A run cannot continue: a parent failed, or the run has ended."""


class ContractError(TierwrightError):
    """An image failed its tests, or the tests cannot be run."""


class PlanError(TierwrightError):
    """Ansible did not make the plan that was requested."""


class TrustError(TierwrightError):
    """A signature, a statement or a policy does not allow what was asked."""


class UsageError(TierwrightError):
    """A name or an option on the command line is wrong or ambiguous."""


class NotFoundError(TierwrightError):
    """The requested object does not exist."""


class DamagedError(TierwrightError):
    """An image, a layer or an archive is damaged: its content does not match its names or digests."""


class UnsupportedError(TierwrightError):
    """An object is not damaged, but its kind or format is not supported."""


@contextmanager
def wrap_errors(what: str, kind: type[TierwrightError]) -> Iterator[None]:
    """Turn every error in a ``with`` statement into one that names the object that is being read.

    Errors of this library are not changed: their messages are complete.

    Args:
        what: The object: ``role web: /srv/roles/web/meta/main.yml``.
        kind: Class of the error to raise.

    Raises:
        TierwrightError: An error of class ``kind`` in place of any other error.
    """
    try:
        yield
    except TierwrightError:
        raise
    except Exception as error:
        raise kind(f"{what}: {describe_error(error)}") from error


@contextmanager
def errors_of(subject: str) -> Iterator[None]:
    """Put the subject of a ``with`` statement in front of the errors of this library.

    Args:
        subject: What the statement works on: ``tier 'web'``.

    Raises:
        TierwrightError: An error of the same class, whose message begins with the subject.
    """
    try:
        yield
    except TierwrightError as error:
        raise type(error)(f"{subject}: {error}") from error


def describe_error(error: BaseException) -> str:
    """Return a message for an error of Python or of a library. Many of these errors say little themselves."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, TypeError | AttributeError | IndexError):
        return f"it does not have the expected form ({error})"
    return str(error) or type(error).__name__
