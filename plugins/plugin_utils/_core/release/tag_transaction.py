# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moves many tags, all or none, although an engine can only move one tag at a time.

All moves are recorded in a file before the first tag moves. The file is removed after the last move. If a run is killed
in between, the next run finds the file, and either finishes the moves or takes them back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ..engine.docker_config import engine_address
from ..engine.engine import Engine
from ..engine.inspection import Names, Snapshot
from ..errors import EngineError, RunError
from ..image import labels
from ..local_files import remove_unfinished, set_aside, write_durably
from ..records import decode, encode
from ..state.journal import state_folder
from ..state.lock import chain_lock


class Move(msgspec.Struct, frozen=True):
    """The move of one tag from one image to another."""

    repository: str
    tag: str
    #: ID of the image that the tag names before; ``None`` if the tag does not exist before.
    before: str | None
    #: ID of the image that the tag names afterwards; ``None`` if the tag is removed.
    after: str | None

    def now(self, names: Names) -> str | None:
        """Return the ID of the image that the tag names now, according to all image names on the engine."""
        return names.get(self.repository, {}).get(self.tag)


class MovesRecord(msgspec.Struct, frozen=True):
    """The moves of one transaction, recorded before the first tag moves."""

    #: Address of the engine.
    engine: str
    moves: tuple[Move, ...]


def move_all(engine: Engine, chain: str, moves: Sequence[Move]) -> None:
    """Move all tags, in the order given, or none.

    Args:
        engine: The engine.
        chain: The chain whose tags they are.
        moves: At most one move for each tag. A move that adds a name to an image comes before a move that removes a
            name of it, because the engine removes an image with its last name.

    Raises:
        RunError: A tag does not name the image that it is moved from, a tag would move to an image that a resumed
            build made, or the moves cannot be recorded. No tag moved.
        EngineError: The engine rejected a move. The earlier moves were taken back, or the next run finishes them or
            takes them back.
    """
    if not moves:
        return
    with chain_lock(chain, "promotion"):
        images = engine.images.snapshot()
        _check_unmoved(images.names, moves)
        _check_releasable(images, moves)
        try:
            record = _record(chain, moves)
        except OSError as error:
            raise RunError(
                f"the moves of tags cannot be recorded in {state_folder(chain)} ({error.strerror}), so no tag moved"
            ) from error
        try:
            for move in moves:
                _set_tag(engine, move, move.after)
        except EngineError as error:
            try:
                _take_back(engine, moves)
            except EngineError:
                raise EngineError(
                    f"{error}; some tags may have moved already, and the next run over the chain finishes the moves or "
                    "takes them back"
                ) from error
            record.unlink()
            raise EngineError(f"{error}; all tags name the same images as before") from error
        record.unlink()


def _check_releasable(images: Snapshot, moves: Sequence[Move]) -> None:
    """Check that no tag moves to an image that was made in the container of a failed build."""
    for move in moves:
        image = images.find(move.after) if move.after else None
        if image is not None and labels.RESUMED in image.labels:
            raise RunError(
                f"{move.repository}:{move.tag} would name {move.after}, but run {image.labels[labels.RESUMED]} made "
                "this image in the container of a failed build; such an image is never released, because nobody can "
                "build it again. No tag moved. Build the tier"
            )


def interrupted(chain: str) -> bool:
    """Say whether a move of ``chain``'s tags was interrupted, on any engine."""
    return any(_list_records(chain))


def recover(engine: Engine, chain: str, say: Callable[[str], None]) -> None:
    """Finish the interrupted moves of tags if all their images exist; otherwise take them back.

    Moves on an engine at a different address are skipped, unless all their images exist on this engine too.

    Args:
        engine: The engine.
        chain: The chain.
        say: Called with a line for each interrupted promotion.

    Raises:
        EngineError: The engine rejected a request; the next run tries again.
    """
    with chain_lock(chain, "promotion"):
        remove_unfinished(state_folder(chain), "promotion-*")
        for path in _list_records(chain):
            try:
                record = decode(path.read_text(), MovesRecord, exact=True)
            except (ValueError, OSError) as error:
                say(f"{set_aside(path, error)}. It listed the tags of an interrupted promotion: check these tags")
                continue
            moves = record.moves
            complete = all(move.after is None or engine.images.find(move.after) for move in moves)
            if not complete and record.engine != engine_address():
                continue
            names = engine.images.snapshot().names
            if complete and all(move.now(names) in {move.before, move.after} for move in moves):
                for move in moves:
                    _set_tag(engine, move, move.after)
                say("a promotion was interrupted: its last tags have moved now")
            else:
                _take_back(engine, moves)
                say("a promotion was interrupted and cannot be finished: the tags were moved back")
            path.unlink()


def _check_unmoved(names: Names, moves: Sequence[Move]) -> None:
    for move in moves:
        now = move.now(names)
        if now != move.before:
            raise RunError(
                f"{move.repository}:{move.tag} named {move.before or 'no image'} a moment ago, and names "
                f"{now or 'no image'} now: a different run or user moved it. No tag was moved; start the playbook again"
            )


def _take_back(engine: Engine, moves: Sequence[Move]) -> None:
    """Undo the moves that were made.

    A tag stays if somebody else moved it since, or if its earlier image was removed. A tag that was removed together
    with its new image is moved back too.
    """
    names = engine.images.snapshot().names
    for move in reversed(moves):
        now = move.now(names)
        moved = now != move.before and now in {move.after, None}
        if moved and (move.before is None or engine.images.find(move.before)):
            _set_tag(engine, move, move.before)


def _set_tag(engine: Engine, move: Move, image: str | None) -> None:
    if image is None:
        engine.images.remove(f"{move.repository}:{move.tag}")
    else:
        engine.images.tag(image, move.repository, move.tag)


def _list_records(chain: str) -> list[Path]:
    return sorted(state_folder(chain).glob("promotion-*.json"))


def _record(chain: str, moves: Sequence[Move]) -> Path:
    """Write the record of the moves. It survives a crash of the machine."""
    address = engine_address()
    path = state_folder(chain) / f"promotion-{hashlib.sha256(address.encode()).hexdigest()[:16]}.json"
    write_durably(path, encode(MovesRecord(address, tuple(moves))))
    return path
