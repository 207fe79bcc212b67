# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes images without content on the engine, with the labels and names of a built chain.

For ``tests/bench/plan``. It is an action, so it has the same variables as the plan.
"""

from __future__ import annotations

import hashlib
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import (
    Parts,
    content_tag,
    digest_key,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine, connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels, provenance
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.configuration import document, runtime_config
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.chain_inventory import ChainInventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.planner import Planner
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing.loading import Layers, load

_EMPTY = bytes(1024)  # a tar archive without entries
_DIGEST = "sha256:" + hashlib.sha256(_EMPTY).hexdigest()
_LAYERS = Layers((_DIGEST,), {_DIGEST: _EMPTY})


class ActionModule(ActionBase):
    """Makes an image with both of its names for each tier of the chain."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        engine = connect()
        planner = Planner(ChainInventory(task_vars or {}), ".".join(ansible_version.split(".")[:2]))
        images: dict[str, str] = {}
        for name, decision in planner.decide(engine, None).items():
            parent = {} if decision.tier.parent is None else {"parent": images[decision.tier.parent]}
            images[name] = _pretend(engine, planner.inventory.name, decision.tier, {**decision.parts, **parent})
        return {"changed": True}


def _pretend(engine: Engine, chain: str, tier: Tier, parts: Parts) -> str:
    created = provenance.timestamp(0)
    content = document(
        architecture="amd64",
        os="linux",
        config=runtime_config({}, {}, labels.identity(chain, tier, parts, None)),
        layers=_LAYERS.digests,
        history=[provenance.history_entry(tier, created, "bench")],
        created=created,
    )
    image = load(engine, content, _LAYERS).id
    for tag in (tier.tag, content_tag(digest_key(parts))):
        engine.images.tag(image, tier.image, tag)
    return image
