# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Seals a tier: makes one layer of the changes in its build container, and an image of this layer and the parent's.

Layer, configuration and history depend only on the tier's content and settings. Therefore the same inputs give the same
image on any machine. Nothing else of the build container (times, host name, environment) is in the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..chain.tier import Protection, Tier
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import ChainError, SealError
from ..image import labels, provenance
from ..image.configuration import document, image_id, runtime_config
from ..layer import build_memory, build_references, container_changes, mounts, protected_paths, secret_traces
from ..layer.cleaner import Cleaner, layer_entries
from ..layer.tar_writer import Layer
from .loading import Layers, load, load_new
from .package_memory import remember_packages, watch_packages

#: Returns the document of an image, given the digests of its layers and the content digest of its own layer.
_Writer = Callable[[Sequence[str], str], bytes]


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """All properties of a tier's image except its own layer."""

    tier: Tier
    #: How the tier's own layer is made, for the history: ``"role httpd_php"``.
    doing: str
    #: Time of the image, and the latest time in its own layer, in seconds since 1970.
    epoch: int
    #: The tier's checked ``tier_config``.
    declared: Mapping[str, Any]
    #: Labels from :func:`..image.labels.identity`.
    identity: Mapping[str, str]
    #: Image that the tier is based on, with its layers, history and settings; ``None`` for a base without one.
    parent: Image | None = None
    #: Default settings of an image without a parent.
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: The protected paths of the tier's ancestors.
    protected: Sequence[Protection] = ()
    #: The tasks of the build.
    timeline: build_memory.Timeline = field(default_factory=build_memory.Timeline)
    #: The secrets of the build, by name. The layer must not contain them.
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Called with the image's ID before the image is loaded.
    announce: Callable[[str], object] = lambda _image: None


def seal(engine: Engine, container: str, spec: ImageSpec, *, say: Callable[[str], None] = lambda _line: None) -> Image:
    """Make a tier's image from its build container. The container is ended; the image gets no name.

    The tasks that made the paths of the layer, and the left-out paths, are stored on this machine
    (:mod:`..layer.build_memory`).

    Args:
        engine: The engine.
        container: ID of the build container, which was started from the parent's layers.
        spec: The other properties of the image.
        say: Called with each line about paths that are left out of the layer.

    Raises:
        ChainError: The tier declares a value that an image cannot have.
        SealError: The container has content that a layer cannot contain, or the role changed a protected path.
        EngineError: The engine rejected a request.
    """
    tier = spec.tier
    cleaner = Cleaner(spec.identity.get(labels.FAMILY), tier.drop, tier.keep)
    # The requests for the document run in parallel to those for the layer.
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(_writer, engine, spec)
        with container_changes.read(engine, container) as container_content:
            try:
                entries = layer_entries(container_content.changes, cleaner)
                protected_paths.check(
                    spec.protected,
                    origin=container_content.origin,
                    entries=entries,
                    changes=container_content.changes,
                    timeline=spec.timeline,
                )
                mounts.check_mounts(container_content.mounted, cleaner, spec.timeline)
                secret_traces.check(entries, spec.secrets, spec.timeline)
                references = build_references.find(entries)
                build_references.check(references, spec.timeline, cleaner.keeps)
                layer = Layer(entries, spec.epoch, container_content.reading)
                image = _load_new(engine, layer, _below(spec), writer.result())
            except SealError as error:
                raise SealError(f"tier {tier.name!r}: {error}") from error
    left_out = {item.entry.path for item in cleaner.left_out}
    lines = list(
        build_memory.left_out_lines(cleaner.left_out, spec.timeline, build_references.referring(references, left_out))
    )
    for line in lines:
        say(line)
    if spec.parent is None or len(image.layers) > len(spec.parent.layers):
        build_memory.remember_tasks(image.layers[-1], entries, spec.timeline)
        build_memory.remember_left_out(image.layers[-1], lines)
    return image


def assemble(engine: Engine, spec: ImageSpec, *, layer: Layer | None = None, layers: Layers | None = None) -> Image:
    """Write and load the image of a specification.

    Args:
        engine: The engine.
        spec: The properties of the image.
        layer: The tier's own layer; ``None`` if the image has only ``layers``.
        layers: The layers below it, by default those of the parent.

    Raises:
        ChainError: The tier declares a value that an image cannot have.
        SealError: The layer cannot be read.
        EngineError: The engine rejected a request.
    """
    below = layers or _below(spec)
    write = _writer(engine, spec)
    if layer is None:
        return load(engine, write(below.digests, below.digests[-1]), below)
    return _load_new(engine, layer, below, write)


def _below(spec: ImageSpec) -> Layers:
    parent = spec.parent
    return Layers(()) if parent is None else Layers(parent.layers, donor=parent.id)


def _load_new(engine: Engine, layer: Layer, below: Layers, write: _Writer) -> Image:
    watch_packages(layer)
    image = load_new(engine, layer, below, lambda digest, content: write((*below.digests, digest), content))
    remember_packages(layer)
    return image


def _writer(engine: Engine, spec: ImageSpec) -> _Writer:
    """Request all information from the engine, and return a function that writes the document for given layers."""
    parent, created = spec.parent, provenance.timestamp(spec.epoch)
    inherited = spec.settings if parent is None else engine.images.full_config(parent)
    parent_history = [] if parent is None else provenance.history_of(engine, parent.id, len(parent.layers))
    own = provenance.history_entry(spec.tier, created, spec.doing)
    architecture = engine.system.platform()[1] if parent is None else parent.architecture
    try:
        behaviour = runtime_config(inherited, spec.declared, {})
    except ChainError as error:
        raise ChainError(f"tier {spec.tier.name!r}: {error}") from error

    def write(layers: Sequence[str], content: str) -> bytes:
        has_own_layer = parent is None or len(layers) > len(parent.layers)
        content_label = labels.content(content, behaviour, parent.id if parent and has_own_layer else None)
        identity = {**spec.identity, labels.CREATED: created, labels.CONTENT: content_label}
        text = document(
            architecture=architecture,
            os=parent.os if parent else "linux",
            config=runtime_config(inherited, spec.declared, identity),
            layers=layers,
            history=[*parent_history, own if has_own_layer else {**own, "empty_layer": True}],
            created=created,
            author=spec.tier.team,
        )
        spec.announce(image_id(text))
        return text

    return write
