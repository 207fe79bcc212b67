# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sealing: a build container's changes become the tier's one layer, on its parent's layers.

Layer, configuration and history are written here, out of what the tier holds and says alone. So the same inputs give
the same image on any machine, and nothing of the build container (times, host name, environment) gets into it.
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
from ..layer import build_memory, build_references, container_changes, mounts, protected_paths
from ..layer.cleaner import Cleaner, settle
from ..layer.tar_writer import Layer
from .loading import Layers, load, load_new

#: Writes the document of an image out of its layers' digests and that of its own layer's content.
_Writer = Callable[[Sequence[str], str], bytes]


@dataclass(frozen=True, slots=True)
class Design:
    """What a tier's image is to be, but for its own layer."""

    tier: Tier
    #: What makes the tier's own layer: ``"role httpd_php"``.
    doing: str
    #: Time of the image, and the latest one in a layer that is written here, in seconds since 1970.
    epoch: int
    #: The tier's checked ``tier_config``.
    declared: Mapping[str, Any]
    #: Labels from :func:`..image.labels.identity`.
    identity: Mapping[str, str]
    #: Image whose layers, history and settings the tier's begin with; ``None`` where there is none.
    parent: Image | None = None
    #: Settings that an image without a parent has unless the tier says otherwise.
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: What the tiers that it stands on protect.
    protected: Sequence[Protection] = ()
    #: The tasks of the build.
    timeline: build_memory.Timeline = field(default_factory=build_memory.Timeline)
    #: Called with the image's ID before the engine has it.
    announce: Callable[[str], object] = lambda _image: None


def seal(engine: Engine, container: str, design: Design, *, say: Callable[[str], None] = lambda _line: None) -> Image:
    """Make a tier's image out of its build container, which ends now. No name is given to the image.

    Which task put what into its layer, and what is left out of it, is remembered on this machine
    (:mod:`..layer.build_memory`).

    Args:
        engine: The engine.
        container: ID of the build container, which was started on the parent's layers.
        design: What the image is to be.
        say: Called with each line about what is left out of the layer.

    Raises:
        ChainError: The tier declares a value that no image can have.
        SealError: The container holds something that no layer can carry, or that an ancestor protects.
        EngineError: The engine refused.
    """
    tier = design.tier
    cleaner = Cleaner(design.identity.get(labels.FAMILY), tier.drop, tier.keep)
    # The engine answers what the document needs while it is looked for what the layer needs.
    with ThreadPoolExecutor(1) as beside:
        writer = beside.submit(_writer, engine, design)
        with container_changes.read(engine, container) as found:
            try:
                entries = settle(found.changes, cleaner)
                protected_paths.check(
                    design.protected,
                    origin=found.origin,
                    entries=entries,
                    changes=found.changes,
                    timeline=design.timeline,
                )
                mounts.check_mounts(found.mounted, cleaner, design.timeline)
                named = build_references.find(entries)
                build_references.check(named, design.timeline, cleaner.keeps)
                layer = Layer(entries, design.epoch, found.reading)
                image = _load_new(engine, layer, _below(design), writer.result())
            except SealError as error:
                raise SealError(f"tier {tier.name!r}: {error}") from error
    absent = {each.entry.path for each in cleaner.left_out}
    told = list(
        build_memory.left_out_lines(cleaner.left_out, design.timeline, build_references.referring(named, absent))
    )
    for line in told:
        say(line)
    if design.parent is None or len(image.layers) > len(design.parent.layers):
        build_memory.remember_tasks(image.layers[-1], entries, design.timeline)
        build_memory.remember_left_out(image.layers[-1], told)
    return image


def assemble(engine: Engine, design: Design, *, layer: Layer | None = None, layers: Layers | None = None) -> Image:
    """Load the image of a design.

    Args:
        engine: The engine.
        design: What it is to be.
        layer: The tier's own layer; ``None`` where ``layers`` are all that the image has.
        layers: The layers below it; the parent's where there is nothing else to say of them.

    Raises:
        ChainError: The tier declares a value that no image can have.
        SealError: The layer cannot be read.
        EngineError: The engine refused.
    """
    below = layers or _below(design)
    write = _writer(engine, design)
    if layer is None:
        return load(engine, write(below.digests, below.digests[-1]), below)
    return _load_new(engine, layer, below, write)


def _below(design: Design) -> Layers:
    parent = design.parent
    return Layers(()) if parent is None else Layers(parent.layers, donor=parent.id)


def _load_new(engine: Engine, layer: Layer, below: Layers, write: _Writer) -> Image:
    return load_new(engine, layer, below, lambda digest, content: write((*below.digests, digest), content))


def _writer(engine: Engine, design: Design) -> _Writer:
    """Ask the engine all that has to be asked, and give what writes the document once the layers are known."""
    parent, created = design.parent, provenance.timestamp(design.epoch)
    inherited = design.settings if parent is None else engine.images.full_config(parent)
    past = [] if parent is None else provenance.history_of(engine, parent.id, len(parent.layers))
    own = provenance.history_entry(design.tier, created, design.doing)
    architecture = engine.system.platform()[1] if parent is None else parent.architecture
    try:
        behaviour = runtime_config(inherited, design.declared, {})
    except ChainError as error:
        raise ChainError(f"tier {design.tier.name!r}: {error}") from error

    def write(layers: Sequence[str], content: str) -> bytes:
        new = parent is None or len(layers) > len(parent.layers)
        holds = labels.content(content, behaviour, parent.id if parent and new else None)
        identity = {**design.identity, labels.CREATED: created, labels.CONTENT: holds}
        written = document(
            architecture=architecture,
            os=parent.os if parent else "linux",
            config=runtime_config(inherited, design.declared, identity),
            layers=layers,
            history=[*past, own if new else {**own, "empty_layer": True}],
            created=created,
            author=design.tier.team,
        )
        design.announce(image_id(written))
        return written

    return write
