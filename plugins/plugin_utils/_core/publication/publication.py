# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One publication: images and attachments are sent, consumers are asked, and then tags move."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from ..chain import tags
from ..chain.graph import Chain
from ..chain.names import split_registry
from ..chain.tier import Tier
from ..custody.record_store import RecordSource
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..parent_process import ParentProcess
from ..transports.registries import Registries
from .attach_images import Attacher
from .consumers import Consumers, OfferedImage, ask_consumers
from .publish import ChooseTags, FindImage, PublishedTier, compare_images, find_moves, publish_images
from .publish_records import RecordPublisher
from .publish_release import ReleasePublisher, ReleaseSigning
from .registry_tags import RegistryMove, move_tags


def candidate_tags(_tier: Tier, _image: Image) -> Sequence[str]:
    """Choose the tag of an image that other teams try."""
    return [tags.CANDIDATE]


class SignedParts(msgspec.Struct, frozen=True):
    """What is signed in a publication."""

    #: The signed records of the images; ``None`` if none are published.
    records: RecordSource | None = None
    #: How the release record is signed; ``None`` if the chain has none.
    releases: ReleaseSigning | None = None


_UNSIGNED = SignedParts()


class Publication:
    """Publishes images of one chain."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        chain: Chain,
        registries: Registries,
        tests: Callable[[str], Path | None],
        say: Callable[[str], None],
        parent: ParentProcess,
        signed: SignedParts = _UNSIGNED,
    ) -> None:
        """Take what to publish.

        Args:
            engine: The engine, which has the images.
            name: The chain's name.
            chain: The chain.
            registries: The registries.
            tests: Returns the folder of the tests of a tier's role; ``None`` if it has none.
            say: Called with lines to print.
            parent: The process that this one belongs to. When it has ended, no tag moves any more.
            signed: What is signed.
        """
        self._engine, self._name, self._chain, self._registries, self._say = engine, name, chain, registries, say
        self._attacher = Attacher(engine, chain, tests, registries.writer, say)
        connect, source, releases = registries.writer, signed.records, signed.releases
        self._records = RecordPublisher(engine, chain, source, connect, say) if source else None
        self._releases = ReleasePublisher(name, chain, releases, connect, say) if releases else None
        #: How many records were sent.
        self.records = 0
        #: The tags ``release-…`` of the images that were sent as a release, by tier.
        self._sent: dict[str, str] = {}
        #: The tiers whose images were offered to their consumers.
        self._offered: set[str] = set()
        self._parent = parent

    def send(self, targets: Sequence[Tier], find_image: FindImage, choose_tags: ChooseTags) -> list[PublishedTier]:
        """Send images, their attachments and their records. No tag moves.

        Raises:
            RunError: A tier has no image, or its contract tests cannot travel.
            DamagedError: A record, or a registry's list of records, is damaged.
            EngineError: The engine or a registry rejected a request, or does not answer.
        """
        connect = self._registries.writer
        differences = compare_images(targets, find_image, choose_tags, connect)
        published = publish_images(self._engine, self._chain, differences, connect, self._say)
        self._attacher.attach_images(published)
        if self._records:
            self.records += self._records.attach_records(published)
        for each in differences:
            if each.tags[-1] == each.tier.tag:
                self._sent[each.tier.name] = next(filter(tags.is_release, each.tags), "")
        return published

    def ask(self, published: Collection[PublishedTier], consumers: Mapping[str, Consumers]) -> None:
        """Let the consumers of those images try them whose tags are about to move, and wait for their verdicts.

        Args:
            published: The images that were sent.
            consumers: The consumers, by tier.

        Raises:
            ContractError: A consumer said no, or too few said yes in time.
            RunError: Somebody else moves the tags ``candidate`` at the same time.
            EngineError: A registry rejected a request, or does not answer.
        """
        asked = [each for each in published if each.tier.name in consumers and _moves_release(each)]
        offers: list[RegistryMove] = []
        for each in asked:
            host, _repository = split_registry(each.tier.image) or ("", "")
            offers += find_moves(self._registries.writer(host), each.tier, [tags.CANDIDATE], each.manifest)
        move_tags(self._name, offers, self._registries.writer, self._parent)
        self._offered = {each.tier.name for each in asked}
        images = [
            OfferedImage(each.tier.name, each.tier.image, each.manifest, consumers[each.tier.name]) for each in asked
        ]
        ask_consumers(images, self._registries.reader, self._say)

    def move(self, published: Collection[PublishedTier]) -> bool:
        """Move the tags of images that were sent. Return whether one moved.

        A release takes an earlier tag ``candidate`` with it. Otherwise, other teams would try an image that is older.
        The tag of its release record moves last.

        Raises:
            TrustError: The key cannot sign the release record.
            RunError: Somebody else moved one of the tags; none moved.
            EngineError: A registry rejected a move, or does not answer. The next run moves the other tags.
        """
        moves = [move for each in published for move in (*each.moves, *self._earlier_candidates(each))]
        released = [each for each in published if each.tier.name in self._sent]
        if self._releases and released:
            moves += self._releases.prepare(released, self._sent)
        move_tags(self._name, moves, self._registries.writer, self._parent)
        return bool(moves)

    def _earlier_candidates(self, published: PublishedTier) -> list[RegistryMove]:
        """Return the move of a tag ``candidate`` that names an image before this release."""
        tier = published.tier
        if tier.name in self._offered or not _moves_release(published):
            return []
        host, _repository = split_registry(tier.image) or ("", "")
        moves = find_moves(self._registries.writer(host), tier, [tags.CANDIDATE], published.manifest)
        return [move for move in moves if move.before is not None]


def _moves_release(published: PublishedTier) -> bool:
    return any(move.tag == published.tier.tag for move in published.moves)
