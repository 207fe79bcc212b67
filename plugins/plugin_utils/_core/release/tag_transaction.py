# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moving many tags, all or none, on an engine that can move one at a time.

What is going to move is written down before the first tag moves, and forgotten after the last. Whoever finds it
written down, because a run was killed in between, brings the move to one of its two ends.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engine.docker_config import engine_address
from ..engine.engine import Engine
from ..engine.inspection import Names
from ..errors import EngineError, RunError
from ..local_files import forget_unfinished, set_aside, write_durably
from ..state.journal import state_folder
from ..state.lock import exclusively


@dataclass(frozen=True, slots=True)
class Move:
    """One tag's move from image to image."""

    repository: str
    tag: str
    #: ID of the image that it names before; ``None`` where there is no such tag.
    before: str | None
    #: The same afterwards.
    after: str | None

    def now(self, names: Names) -> str | None:
        """ID of the image that the tag names, of all names on the engine."""
        return names.get(self.repository, {}).get(self.tag)


def move_all(engine: Engine, chain: str, moves: Sequence[Move]) -> None:
    """Move all tags, in the order given, or none.

    Args:
        engine: The engine.
        chain: The chain whose tags they are.
        moves: No two of one tag. Those that name an image anew come before those that take its old name away.

    Raises:
        RunError: A tag does not name the image that it is to be moved from, or no note can be made. Nothing moved.
        EngineError: The engine refused. What had moved was taken back, or will be by the next run.
    """
    if not moves:
        return
    with exclusively(chain, "promotion"):
        _check_unmoved(engine.images.snapshot().names, moves)
        try:
            noted = _note(chain, moves)
        except OSError as error:
            raise RunError(
                f"what is going to move cannot be noted in {state_folder(chain)} ({error.strerror}), so nothing moved"
            ) from error
        try:
            for move in moves:
                _name(engine, move, move.after)
        except EngineError as error:
            try:
                _take_back(engine, moves)
            except EngineError:
                raise EngineError(
                    f"{error}; some tags may have moved already, and the next run over the chain brings that to an end"
                ) from error
            noted.unlink()
            raise EngineError(f"{error}; every tag names what it named before") from error
        noted.unlink()


def interrupted(chain: str) -> bool:
    """Say whether a move of ``chain``'s tags was interrupted, on any engine."""
    return any(_noted(chain))


def recover(engine: Engine, chain: str, say: Callable[[str], None]) -> None:
    """Bring moves that were interrupted to an end: finish them if their images are all there, else take them back.

    Moves on an engine at another address are left alone, unless all their images are here as well.

    Args:
        engine: The engine.
        chain: The chain.
        say: Called with a line for each of them.

    Raises:
        EngineError: The engine refused; the next run tries again.
    """
    with exclusively(chain, "promotion"):
        forget_unfinished(state_folder(chain), "promotion-*")
        for path in _noted(chain):
            try:
                where, moves = _read(path)
            except (ValueError, TypeError, KeyError, OSError) as error:
                say(f"{set_aside(path, error)}. It named the tags of an interrupted promotion: look at them")
                continue
            whole = all(each.after is None or engine.images.find(each.after) for each in moves)
            if not whole and where != engine_address():
                continue
            names = engine.images.snapshot().names
            if whole and all(each.now(names) in {each.before, each.after} for each in moves):
                for move in moves:
                    _name(engine, move, move.after)
                say("a promotion was interrupted: its last tags have moved now")
            else:
                _take_back(engine, moves)
                say("a promotion was interrupted and cannot be finished: what had moved is taken back")
            path.unlink()


def _check_unmoved(names: Names, moves: Sequence[Move]) -> None:
    for move in moves:
        now = move.now(names)
        if now != move.before:
            raise RunError(
                f"{move.repository}:{move.tag} named {move.before or 'no image'} a moment ago, and names "
                f"{now or 'no image'} now: somebody else moved it. Nothing moved; start the playbook again"
            )


def _take_back(engine: Engine, moves: Sequence[Move]) -> None:
    """Undo what has been done of ``moves``.

    A tag that somebody else moved on stays, and so does one that cannot go back because its image is gone. One that
    went with the image that it had moved to comes back.
    """
    names = engine.images.snapshot().names
    for move in reversed(moves):
        now = move.now(names)
        done = now != move.before and now in {move.after, None}
        if done and (move.before is None or engine.images.find(move.before)):
            _name(engine, move, move.before)


def _name(engine: Engine, move: Move, image: str | None) -> None:
    if image is None:
        engine.images.remove(f"{move.repository}:{move.tag}")
    else:
        engine.images.tag(image, move.repository, move.tag)


def _noted(chain: str) -> list[Path]:
    return sorted(state_folder(chain).glob("promotion-*.json"))


def _read(path: Path) -> tuple[str, list[Move]]:
    """Read what was noted: the address of the engine, and the moves."""
    noted = json.loads(path.read_text())
    moves = [Move(**fields) for fields in noted["moves"]]
    for value in (noted["engine"], *(text for move in moves for text in dataclasses.astuple(move) if text is not None)):
        if not isinstance(value, str):
            raise TypeError(f"found {value!r} where a text belongs")
    return noted["engine"], moves


def _note(chain: str, moves: Sequence[Move]) -> Path:
    """Write down what is going to move, so that it survives the machine's end as well."""
    address = engine_address()
    path = state_folder(chain) / f"promotion-{hashlib.sha256(address.encode()).hexdigest()[:16]}.json"
    content: dict[str, Any] = {"engine": address, "moves": [dataclasses.asdict(move) for move in moves]}
    write_durably(path, json.dumps(content))
    return path
