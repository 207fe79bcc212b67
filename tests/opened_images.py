"""Fixtures that write images to a layout, and open them in the way the verbs do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import open_stack
from made_images import config, layout, write


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def open_image(tmp_path: Path, store: Store) -> Callable[..., Any]:
    """Make an image from layers and history steps, and open it."""
    count = 0

    def open_(layers: Sequence[bytes], steps: Sequence[Any] = (), **settings: Any) -> Any:
        nonlocal count
        count += 1
        folder = write(tmp_path / f"layout{count}", layout({"it": (config(layers, steps, **settings), layers)}))
        return open_stack(f"oci:{folder}:it", store)

    return open_
