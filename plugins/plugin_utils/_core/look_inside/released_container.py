# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The container in which tasks run that reach a tier outside of its build: a throw-away one of its released image.

All tasks of one process of Ansible share it. It is never a server that has the name of the tier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..agent.launch import playbook_process
from ..engine.engine import connect
from ..errors import NotFoundError
from ..image import labels
from . import throw_away


def released_container(
    tier: str, image: str | None, tag: str | None, follow: Mapping[str, Any] | None, note: Callable[[str], None]
) -> str:
    """Return the ID of the container for the tasks of this process of Ansible. The first task starts it.

    Args:
        tier: Name of the tier.
        image: The value of ``tier_image``.
        tag: The value of ``tier_tag``.
        follow: The value of ``tier_follow``.
        note: Called with log lines.

    Raises:
        NotFoundError: The tier has no released image.
        EngineError: The engine rejected a request.
        RunError: A different task held the lock for starting the container until the timeout.
    """
    followed = follow or {}
    reference = f"{image or followed.get('image') or tier}:{tag or followed.get('tag') or 'latest'}"
    owner = playbook_process()

    def start(key: str) -> throw_away.ThrowAway:
        engine = connect()
        found = engine.images.find(reference)
        if found is None or found.labels.get(labels.TIER) != tier:
            is_foreign = "" if found is None else f" ({reference} is not an image of this tier)"
            raise NotFoundError(
                f"tier {tier!r} has no released image{is_foreign}, so no task can run in it; build it first: "
                f"ansible-playbook build-chain.yml --limit {tier}"
            )
        note(f"a throw-away container of {reference} is started; changes in it are lost")
        return throw_away.start_of_image(engine, found, tier, owner, note, key)

    return throw_away.shared_container(tier, owner, start)
