# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Remembers the newest policy of each chain that this user has seen, so that nobody can put an older one in its place.

An older policy is still well signed. It could trust a key that was revoked since.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..chain.names import file_name
from ..errors import TrustError, describe_error
from ..local_files import lock, own_reads, state, write_durably
from ..records import decode, encode

if TYPE_CHECKING:
    from .policy import Policy

#: The folder, in that of the state of all chains. No chain has such a name, because ``+`` is quoted in file names.
FOLDER = "+policies"
_LOCK_SECONDS = 30.0


class SeenPolicy(msgspec.Struct, frozen=True):
    """The newest policy of a chain that was seen."""

    version: int
    #: Digest of its bytes.
    digest: str


class VersionMemory:
    """What was seen last of the policy of one chain."""

    def __init__(self, chain: str, folder: Path | None = None) -> None:
        """Take the name of a chain.

        Args:
            chain: The name.
            folder: The folder of the memory; by default below the state of the user.
        """
        self._chain = chain
        self._file = (folder or state() / FOLDER) / f"{file_name(chain)}.json"

    def check(self, policy: Policy, path: Path) -> None:
        """Remember a policy whose signature was checked.

        Args:
            policy: The policy.
            path: Its file, for messages.

        Raises:
            TrustError: A newer one was seen, or a different one with the same version, or the memory cannot be used.
        """
        try:
            with own_reads():
                self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with self._file.with_suffix(".lock").open("ab") as guard:
                    lock(guard, _LOCK_SECONDS)
                    self._check(policy, path)
        except OSError as error:
            raise TrustError(
                f"the version of the policy of chain {self._chain!r} cannot be remembered: {describe_error(error)}; "
                f"correct the rights of {self._file.parent}"
            ) from error

    def _check(self, policy: Policy, path: Path) -> None:
        seen = self._read()
        if seen is not None and policy.version < seen.version:
            raise TrustError(
                f"{path} has version {policy.version}, but version {seen.version} of the policy of chain "
                f"{self._chain!r} was seen before; get the newest one from Git. If the older one is right, give it a "
                "higher version, and sign it"
            )
        if seen is not None and policy.version == seen.version and policy.digest != seen.digest:
            raise TrustError(
                f"{path} has version {policy.version}, but a different policy of chain {self._chain!r} with the same "
                "version was seen before; raise its version, and sign it with `tierwright policy sign`"
            )
        if seen is None or policy.version > seen.version:
            write_durably(self._file, encode(SeenPolicy(policy.version, policy.digest)))

    def _read(self) -> SeenPolicy | None:
        try:
            return decode(self._file.read_bytes(), SeenPolicy)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise TrustError(
                f"{self._file} is damaged ({describe_error(error)}), so an older policy could not be recognised; "
                "remove the file if the policy of this chain is the newest one"
            ) from error
