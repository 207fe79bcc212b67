# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The image that is judged, with its line below it; what statements about it must name, and who may sign them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ..signing.envelope import IN_TOTO
from ..signing.public_key import PublicKey
from ..signing.statement import Subject
from .evidence import BASE, CONFIG, LAYER, PROVENANCE, PULLED, ImageEvidence, SignedStatement
from .policy import Policy
from .rules import TierRule

_SHOWN = 3


class Case(msgspec.Struct, frozen=True):
    """One image of a line that is judged."""

    policy: Policy
    rule: TierRule
    #: The team that signs.
    team: str
    image: ImageEvidence
    #: The images that it is based on, the base first.
    below: tuple[ImageEvidence, ...]

    @property
    def parent(self) -> ImageEvidence | None:
        """The image that it is based on; ``None`` for a base."""
        return self.below[-1] if self.below else None

    def statements(self, *kinds: str) -> list[SignedStatement]:
        """Return the statements of some types that are about it."""
        return [signed for signed in self.image.statements if counts_as(signed, *kinds)]

    def signers(self, signed: SignedStatement) -> frozenset[PublicKey]:
        """Return the valid keys of the tier's team that signed a statement."""
        return self.policy.valid_keys(self.team).intersection(signed.signers)

    def accepted(self, *kinds: str) -> list[SignedStatement]:
        """Return the statements of some types that a valid key of the tier's team signed."""
        return [signed for signed in self.statements(*kinds) if self.signers(signed)]

    def all_signers(self, statements: Iterable[SignedStatement]) -> frozenset[PublicKey]:
        """Return the valid keys of the tier's team that signed at least one of some statements."""
        return frozenset(key for signed in statements for key in self.signers(signed))

    def name_signers(self, statements: Iterable[SignedStatement], *, valid: bool = False) -> str:
        """Say who signed some statements, for messages.

        Args:
            statements: The statements.
            valid: Whether only signatures are named that count.
        """
        keys = dict.fromkeys(key for signed in statements for key in signed.signers)
        names = [self.policy.owner(key) for key in keys if not valid or key in self.policy.valid_keys(self.team)]
        return listed(names) or "no key that the policy knows"

    def subjects(self) -> list[Subject] | str:
        """Return the subjects that a statement about it must have, or why no statement can be about it."""
        image = self.image
        if image.manifest is None:
            return "the digest of its manifest is not known"
        own = image.layers[len(self.parent.layers) :] if self.parent is not None else image.layers
        layers = [Subject(LAYER, digest) for digest in own]
        return [Subject(image.tier, image.manifest), Subject(CONFIG, image.config), *layers]

    def may_omit_layers(self) -> bool:
        """Tell whether its statements need not name its layers: others made them, and its configuration names them."""
        image = self.image
        predicates = [signed.statement.predicate for signed in self.accepted(PROVENANCE)]
        if self.parent is not None or not (image.origin is not None or any(map(pulled_from, predicates))):
            return False
        return image.layers_read or (image.origin is not None and image.origin.layers == image.layers)

    def subject_problem(self, signed: SignedStatement) -> str | None:
        """Return why the subjects of a statement are not exactly those of the image; ``None`` if they are."""
        expected = self.subjects()
        if isinstance(expected, str):
            return expected
        extra, missing = list(signed.statement.subjects), []
        if all(each.name != LAYER for each in extra) and self.may_omit_layers():
            expected = [each for each in expected if each.name != LAYER]
        for subject in expected:
            if subject in extra:
                extra.remove(subject)
            else:
                missing.append(subject)
        if extra:
            return f"it is also about {_names(extra)}, which is no part of this image"
        return f"it is not about {_names(missing)} of this image" if missing else None


def counts_as(signed: SignedStatement, *kinds: str) -> bool:
    """Tell whether something that was signed is an in-toto statement of one of some types."""
    return signed.payload_type == IN_TOTO and signed.statement.predicate_type in kinds


def _names(subjects: Sequence[Subject]) -> str:
    names = [f"{each.name!r} {each.digest[:19]}…" for each in subjects[:_SHOWN]]
    return ", ".join(names) + (f" and {len(subjects) - _SHOWN} more" if len(subjects) > _SHOWN else "")


def listed(names: Sequence[str]) -> str:
    """Return names as in a sentence: ``a, b and c``."""
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]])


def value_at(document: Any, *path: str) -> Any:
    """Return a value in nested dictionaries; ``None`` if there is none at this path."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def dicts_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yield those items of a list that are dictionaries; nothing if it is no list."""
    yield from (each for each in (value if isinstance(value, list) else ()) if isinstance(each, dict))


def pulled_from(predicate: Any) -> list[Any]:
    """Return the digests of the images of others that a provenance says the base was pulled from."""
    return [
        value_at(each, "digest", "sha256")
        for each in dependencies(predicate, BASE)
        if str(each.get("uri")).startswith(PULLED)
    ]


def dependencies(predicate: Any, name: str) -> list[dict[str, Any]]:
    """Return the resolved dependencies of a provenance that have a name."""
    resolved = value_at(predicate, "buildDefinition", "resolvedDependencies")
    return [each for each in dicts_in(resolved) if each.get("name") == name]
