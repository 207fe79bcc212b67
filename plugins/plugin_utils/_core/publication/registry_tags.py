# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moves tags in registries: all of them, or the next run moves the rest.

A registry can only move one tag at a time, and cannot remove tags. So moves are never taken back: they are recorded in
a file before the first tag moves, and the file is removed after the last move. All images are in the registry before
that. If a run is killed in between, the next run finishes its moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ..errors import NotFoundError, RunError, TierwrightError, errors_of
from ..local_files import remove_unfinished, set_aside, write_durably
from ..parent_process import ParentProcess
from ..records import decode, encode
from ..state.journal import state_folder
from ..state.lock import chain_lock
from ..transports.manifests import media_type, parse_object
from ..transports.registry_writer import RegistryWriter

#: Connects to a registry, by its host.
Connect = Callable[[str], RegistryWriter]

_LOCK = "publication"


class RegistryMove(msgspec.Struct, frozen=True):
    """The move of one tag of a repository."""

    #: Host of the registry.
    host: str
    #: The repository's name in the registry.
    repository: str
    tag: str
    #: Digest of the manifest that the tag named before; ``None`` if there was no such tag.
    before: str | None
    #: Digest of the manifest that the tag names afterwards.
    after: str
    #: The tier whose image it is.
    tier: str

    @property
    def name(self) -> str:
        """The full name: ``registry.example.org/operations/corebuild:latest``."""
        return f"{self.host}/{self.repository}:{self.tag}"

    @property
    def title(self) -> str:
        """What is being done, for errors: ``tier 'corebuild': moving registry.example.org/…:latest``."""
        return f"tier {self.tier!r}: moving {self.name}"


def move_tags(chain: str, moves: Sequence[RegistryMove], connect: Connect, parent: ParentProcess) -> None:
    """Move tags. All manifests must be in their repositories.

    Args:
        chain: The chain whose tags they are.
        moves: At most one move for each tag.
        connect: Returns the registry.
        parent: The process whose work this is. If it was killed, this process must not move tags while the next run
            publishes.

    Raises:
        RunError: A tag no longer names the image that it is moved from, the moves cannot be recorded, or the parent
            process has ended before the first move. No tag moved.
        TierwrightError: A registry rejected a move, does not answer, or its answer is wrong. The message says whether
            tags have moved; the next run moves the others.
    """
    if not moves:
        return
    with chain_lock(chain, _LOCK):
        for move in moves:
            with errors_of(f"no tag moved: {move.title}"):
                now = _named(move, connect)
            if now != move.before:
                raise RunError(
                    f"tier {move.tier!r}: {move.name} named {move.before or 'no image'} a moment ago, and names "
                    f"{now or 'no image'} now: somebody else published it. No tag was moved; start the playbook again"
                )
        path = _record_file(chain)
        _expect_alive(parent)
        try:
            write_durably(path, encode(list(moves)))
        except OSError as error:
            raise RunError(
                f"the moves of tags cannot be recorded in {path.parent} ({error.strerror}), so no tag moved"
            ) from error
        for number, move in enumerate(moves):
            try:
                _expect_alive(parent)
                _move(move, connect)
            except TierwrightError as error:
                raise type(error)(
                    f"{error}; {number} of {len(moves)} tags have moved, and the next run moves the others"
                ) from error
        path.unlink()


def finish_moves(chain: str, say: Callable[[str], None], connect: Connect) -> None:
    """Finish the moves of a run that was interrupted, except those of tags that somebody else has moved since.

    Args:
        chain: The chain.
        say: Called with lines to print.
        connect: Returns the registry.

    Raises:
        TierwrightError: A registry rejected a move, does not answer, or its answer is wrong. The next run tries again.
    """
    with chain_lock(chain, _LOCK):
        path = _record_file(chain)
        remove_unfinished(path.parent, path.name)
        try:
            moves = decode(path.read_text(), list[RegistryMove])
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            say(f"{set_aside(path, error)}. It listed the tags of an interrupted publication: check these tags")
            return
        with errors_of(f"the tags of an interrupted publication have to move first (to give up, remove {path})"):
            for move in moves:
                _finish(move, say, connect)
        path.unlink()
        say("a publication was interrupted: its last tags have moved now")


def _finish(move: RegistryMove, say: Callable[[str], None], connect: Connect) -> None:
    with errors_of(move.title):
        now = _named(move, connect)
    if now == move.after:
        return
    if now != move.before:
        say(f"{move.name} names {now or 'no image'} now: somebody else has published it since, so it stays")
        return
    try:
        _move(move, connect)
    except NotFoundError:
        say(f"{move.name} cannot be moved: {move.after} was removed from the registry")


def _expect_alive(parent: ParentProcess) -> None:
    if parent.has_ended():
        raise RunError("the run was killed, so it moves no more tags")


def _named(move: RegistryMove, connect: Connect) -> str | None:
    """Return the digest of the manifest that the tag names now."""
    named = connect(move.host).image_at(move.repository, move.tag)
    return named[0] if named else None


def _move(move: RegistryMove, connect: Connect) -> None:
    with errors_of(move.title):
        registry = connect(move.host)
        content = registry.manifest(move.repository, move.after)
        kind = media_type(parse_object(content, f"{move.repository}@{move.after}"))
        registry.write_manifest(move.repository, move.tag, content, kind)


def _record_file(chain: str) -> Path:
    return state_folder(chain) / "publication.json"
