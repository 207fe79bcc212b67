"""Seals one container and prints, as JSON, how long it took and how much memory this process had at most."""

from __future__ import annotations

import json
import resource
import sys
import time

from ansible_collections.tierwright.chain.plugins.plugin_utils.chain.tier import Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine import images
from ansible_collections.tierwright.chain.plugins.plugin_utils.engine.client import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils.image import changes
from ansible_collections.tierwright.chain.plugins.plugin_utils.image.cleaner import Cleaner, settle
from ansible_collections.tierwright.chain.plugins.plugin_utils.image.layer import Layer
from ansible_collections.tierwright.chain.plugins.plugin_utils.image.seal import Design, seal

EPOCH = 1_700_000_000


def main() -> None:
    """Seal the container that the first argument names; ``layer`` as a second one writes the layer to nowhere."""
    client = connect()
    container = client.api.inspect_container(sys.argv[1])
    started = time.perf_counter()
    if sys.argv[2:] == ["layer"]:
        with changes.read(client, container["Id"]) as found:
            for _piece in Layer(settle(found, Cleaner("debian")), EPOCH).pieces():
                pass
        image = None
    else:
        tier = Tier("bench", "bench", "twbench/seal", "latest", parent="base", role="bench")
        design = Design(tier, "role bench", EPOCH, {}, {}, images.get(client, container["Image"]))
        image = seal(client, container["Id"], design).id
    seconds = time.perf_counter() - started
    if image is not None:
        images.remove(client, image)
    print(json.dumps({"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
