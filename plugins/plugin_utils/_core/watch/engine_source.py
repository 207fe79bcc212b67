# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Follows the engine's event stream for as long as a watcher runs. It survives engines that are killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from threading import Event

from ..engine.engine import Engine
from ..engine.events import EngineEvent
from ..errors import TierwrightError

#: Seconds before the first attempt to connect again. Each later pause is twice as long, up to the longest one.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: Streams overlap by this number of seconds, because clocks differ.
_OVERLAP = 1.0

#: Actions by which a name stands for a different image. Some engines name only IDs when they load an archive; the timer
#: finds these images. Otherwise, each build would cause comparisons.
_NAMING = frozenset({"tag", "load", "loadfromarchive", "import", "pull"})


def is_of_interest(event: EngineEvent, images: Collection[str]) -> bool:
    """Say whether an event may mean that a site is out of date.

    Args:
        event: The event.
        images: The names of images in the engine that the site is deployed from: ``wordpress:latest``.
    """
    if event.kind == "service":
        return event.action == "remove"
    # Podman writes localhost/wordpress:latest. If a client gives no tag, Docker writes none either.
    name = event.name.removeprefix("localhost/")
    return event.action in _NAMING and (name if ":" in name.rpartition("/")[2] else f"{name}:latest") in images


def follow_engine(
    connect: Callable[[], Engine],
    take: Callable[[EngineEvent], None],
    lost: Callable[[str], None],
    found: Callable[[], None],
    stop: Event,
) -> None:
    """Follow the events of the engine until ``stop`` is set. Run this in a thread of its own.

    Nothing is missed: a new connection begins with the events since the last one. If the engine was away, ``found`` is
    called, because a new engine may not know them any more.

    Args:
        connect: Connects to the engine. It is called again after each failure.
        take: Called with each event.
        lost: Called with the reason when the engine does not answer; once until it answers again.
        found: Called when it answers again.
        stop: Ends this function, at the latest after the next event or when the engine ends the stream.
    """
    pause, since, is_lost = FIRST_PAUSE, None, False
    while not stop.is_set():
        began = time.time() - _OVERLAP
        try:
            engine = connect()
            try:
                if is_lost:
                    is_lost = False
                    found()
                for event in engine.events.follow(since):
                    pause = FIRST_PAUSE
                    if stop.is_set():
                        return
                    take(event)
                since = began if since is None else max(since, time.time() - _OVERLAP)
            finally:
                engine.close()
        except TierwrightError as error:
            if not is_lost:
                lost(str(error))
            is_lost = True
            stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
