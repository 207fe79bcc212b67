# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An event source of Event-Driven Ansible: what `tierwright watch` would act on."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

# ansible-rulebook runs this file outside of Ansible. So a collection that ansible-galaxy installed is not in its path.
for _folder in Path(__file__).absolute().parents:
    if _folder.name == "ansible_collections" and str(_folder.parent) not in sys.path:
        sys.path.append(str(_folder.parent))

try:
    from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
    from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.announce import Announcer
    from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import WorkKind, WorkNeed
except ImportError as error:
    raise ImportError(
        f"the source tierwright.chain.releases needs the Python package tierwright ({error}); install it in the "
        f"environment of ansible-rulebook: {sys.executable} -m pip install 'tierwright[watch]'"
    ) from error

DOCUMENTATION = r"""
---
short_description: New releases of the images that a site uses, and of the tiers that a chain follows
description:
  - Compares what runs with what is released, at the beginning, when an engine or a registry reports a change, and on a
    timer. So no release is missed, even if no report arrives.
  - An event has the keys C(what), C(about), C(tiers) and C(reasons).
  - C(what) is C(released) if the site C(about) does not run the images that its tags name. It is C(followed) if a tier
    that the chain C(about) follows has a new release, and C(candidate) if it has a candidate without a verdict of this
    chain.
  - C(tiers) lists the tiers, each with C(tier) and C(digest). C(reasons) has a sentence for each difference.
  - An event is repeated if a digest changes, or if the difference is still there after some time.
options:
  inventory:
    description:
      - Paths of inventories. Their variables C(watch_deploy), C(watch_follow) and C(watch_candidates) say what to look
        for.
      - Without it, Ansible's own setting counts, for example E(ANSIBLE_INVENTORY).
    type: list
    elements: str
    default: []
  arguments:
    description:
      - More arguments for C(ansible-playbook), which reads the inventories.
    type: list
    elements: str
    default: []
  repeat:
    description:
      - The number of seconds after which an event is repeated if nothing has changed. V(0) means never.
    type: float
    default: 900
requirements:
  - tierwright[watch], in the environment of ansible-rulebook
"""

EXAMPLES = r"""
- tierwright.chain.releases:
    inventory: [/srv/shop/site.yml]
    arguments: [--vault-password-file, /etc/tierwright/vault-password]
"""

_LOGGER = logging.getLogger("tierwright.chain.releases")  # __name__ is <run_path>
_DEFAULTS: dict[str, Any] = {"inventory": [], "arguments": [], "repeat": 900}
_WHAT = {WorkKind.DEPLOY: "released", WorkKind.FOLLOW: "followed", WorkKind.TRY: "candidate"}


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Put an event into the queue whenever something has to be done, until it is cancelled.

    Args:
        queue: The queue of ansible-rulebook.
        args: The options of the source. Options that begin with ``eda_`` are of ansible-rulebook.

    Raises:
        ChainError: An option of the source, or a variable of the inventory, is wrong.
        TierwrightError: The first comparison failed.
    """
    arguments, repeat = _options(args)
    announcer = Announcer(arguments, _say, repeat=repeat)
    loop = asyncio.get_running_loop()

    def put(need: WorkNeed) -> None:
        asyncio.run_coroutine_threadsafe(queue.put(_event(need)), loop)

    try:
        await asyncio.to_thread(announcer.announce, put)
    finally:
        announcer.stop()


def _say(text: str) -> None:
    if text:
        _LOGGER.warning("%s", text)


def _options(args: dict[str, Any]) -> tuple[list[str], float]:
    """Return the arguments for ansible-playbook, and the seconds after which events are repeated."""
    unknown = sorted(name for name in args if name not in _DEFAULTS and not name.startswith("eda_"))
    if unknown:
        raise ChainError(f"the source has no option {unknown[0]!r}; expected {', '.join(_DEFAULTS)}")
    given: dict[str, Any] = {**_DEFAULTS, **{name: value for name, value in args.items() if value is not None}}
    for name in ("inventory", "arguments"):
        if isinstance(given[name], str):
            given[name] = [given[name]]
        if not isinstance(given[name], list) or not all(isinstance(each, str) for each in given[name]):
            raise ChainError(f"the option {name} is {given[name]!r}; expected a list of strings")
    repeat = given["repeat"]
    if isinstance(repeat, bool) or not isinstance(repeat, int | float) or repeat < 0:
        raise ChainError(f"the option repeat is {repeat!r}; expected a number of seconds, or 0 for never")
    inventories = [word for path in given["inventory"] for word in ("-i", path)]
    return [*inventories, *given["arguments"]], float(repeat)


def _event(need: WorkNeed) -> dict[str, Any]:
    return {
        "what": _WHAT[need.kind],
        "about": need.about,
        "tiers": [{"tier": tier, "digest": digest} for tier, digest in need.subject.items()],
        "reasons": list(need.reasons),
    }
