# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can go wrong, as sentences for the person who reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .text import printable_lines


class TierwrightError(Exception):
    """Base of every error that a user may see.

    The message names the tier and the variable or path, says what was found and what was expected, and what to do.
    What it quotes of images, engines and containers cannot steer a terminal.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable_lines(message))


class ChainError(TierwrightError):
    """The inventory does not describe a chain that can be built."""


class SourceError(TierwrightError):
    """A base's root file system could not be made, or is not the one that was asked for."""


class SealError(TierwrightError):
    """A role left something that its tier's layer may not or cannot hold."""


class EngineError(TierwrightError):
    """The container engine refused something or failed at it."""


class EngineUnavailableError(EngineError):
    """No container engine answers."""


class ContainerGoneError(EngineError):
    """A build container ended, or was removed, while it was needed."""


class TooMuchOutputError(TierwrightError):
    """A command in a container writes more than is kept in memory."""


class RunError(TierwrightError):
    """A run cannot go on: a parent failed, or the run itself has ended."""


class ContractError(TierwrightError):
    """An image does not pass its tests, or they cannot be run."""


class PlanError(TierwrightError):
    """Ansible was asked for a plan and made none."""


class UsageError(TierwrightError):
    """A name or an option does not say what is wanted."""


class NotFoundError(TierwrightError):
    """What was asked for is not there."""


class DamagedError(TierwrightError):
    """An image, a layer or an archive is not what its names and digests promise."""


class UnsupportedError(TierwrightError):
    """Something is whole, but of a kind that is not read here."""


@contextmanager
def concerning(what: str, kind: type[TierwrightError]) -> Iterator[None]:
    """Turn whatever goes wrong with something that others wrote into a sentence about it.

    Our own errors pass: they say what they are about.

    Args:
        what: What is looked at: ``role web: /srv/roles/web/meta/main.yml``.
        kind: The error to raise.
    """
    try:
        yield
    except TierwrightError:
        raise
    except Exception as error:
        raise kind(f"{what}: {described(error)}") from error


def described(error: BaseException) -> str:
    """Say in words what an error of Python or of a library is, where it says little itself."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, TypeError | AttributeError | IndexError):
        return f"it has another form than expected ({error})"
    return str(error) or type(error).__name__
