# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can go wrong, as sentences for the person who reads them."""

from __future__ import annotations


class TierwrightError(Exception):
    """Base of every error that a user may see.

    The message names the tier and the variable or path, says what was found and what was expected, and what to do.
    """


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
