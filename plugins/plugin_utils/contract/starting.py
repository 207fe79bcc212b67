# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starts an image once, by its own settings: whether the engine can run what they say.

It is not asked what becomes of the program then. A server that misses a password, and ends at once with a message of
its own, was started.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from ..engine import services
from ..engine.engine import Engine
from ..engine.image import Image
from ..errors import ContractError, EngineError, EngineUnavailableError

#: Seconds in which a program ends that cannot be executed.
_SOON = 0.3
_POLL_SECONDS = 0.05
#: What the runtime leaves in the log where the kernel refuses the program after the engine has started it.
_REFUSED = re.compile(
    r"^(?:standard_init_linux\.go:\d+: |\{\"msg\":\")?(exec (?:user process caused|\S+): .+)$", re.MULTILINE
)
#: Not what a program says: exit statuses of the runtime itself.
_CODES = frozenset({1, 126, 127, 255})
_LINES = 5
_SETTINGS = {"Entrypoint": "entrypoint", "Cmd": "cmd", "User": "user", "WorkingDir": "working_dir"}


def check_start(engine: Engine, image: Image, *, tier: str, labels: Mapping[str, str]) -> None:
    """Start a container of an image by its own settings, without a network, and end it.

    An image that has neither entrypoint nor command cannot be started by itself, and says so by that.

    Args:
        engine: The engine.
        image: The image.
        tier: Its tier, for the message.
        labels: Labels of the container, by which it is found should it be left behind.

    Raises:
        ContractError: It cannot be started; why is in the message.
        EngineUnavailableError: The engine does not answer.
    """
    config = image.config
    if not config.get("Entrypoint") and not config.get("Cmd"):
        return
    reason = _reason(engine, image, labels)
    if reason is not None:
        said = ", ".join(f"{name} {config[key]!r}" for key, name in _SETTINGS.items() if config.get(key))
        raise ContractError(
            f"tier {tier!r}: its image cannot be started with {said}: {reason}; correct the settings of the image "
            "(tier_config, or <role>_tier_config of the role); cmd: [] and entrypoint: [] say that it has no command"
        )


def _reason(engine: Engine, image: Image, labels: Mapping[str, str]) -> str | None:
    """Why an image cannot be started; ``None`` where it can."""
    try:
        made = engine.services.start(services.Setting(image.id, labels))
    except EngineUnavailableError:
        raise
    except EngineError as error:
        return str(error).partition("the engine says: ")[2] or str(error)
    try:
        return _refused(engine, made)
    finally:
        engine.containers.remove(made)


def _refused(engine: Engine, container: str) -> str | None:
    """Why the kernel refused the program of a container that was started; ``None`` where it runs, or ran."""
    until = time.monotonic() + _SOON
    while (state := engine.services.state(container)).running and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    if state.running or state.exit_code not in _CODES:
        return None
    found = _REFUSED.search(engine.services.logs(container, _LINES))
    return found[1] if found else None
