"""Any single change of a line that keeps to its policy breaks at least one link."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.decision import judge_image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import ImageEvidence
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.link import failed
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Subject
from signed_line import NOW, PEOPLE, TIERS, again, digest, key, make_line, make_policy

pytestmark = pytest.mark.once

Line = list[ImageEvidence]
LINE, POLICY = make_line(), make_policy()


def with_image(number: int, **changes) -> Line:
    return [*LINE[:number], replace(LINE[number], **changes), *LINE[number + 1 :]]


def with_statement(number: int, which: int, changed) -> Line:
    statements = list(LINE[number].statements)
    statements[which : which + 1] = [] if changed is None else [changed]
    return with_image(number, statements=tuple(statements))


def structural() -> Iterator[tuple[str, Line]]:
    """Changes of the images themselves."""
    for number, image in enumerate(LINE):
        where, layers = image.tier, image.layers
        if image != LINE[-1]:
            yield f"{where}: the image is missing in the line", [*LINE[:number], *LINE[number + 1 :]]
        yield f"{where}: the image is twice in the line", [*LINE[: number + 1], *LINE[number:]]
        yield f"{where}: another configuration", with_image(number, config=digest("another"))
        yield f"{where}: another manifest", with_image(number, manifest=digest("another"))
        yield f"{where}: no manifest", with_image(number, manifest=None)
        yield f"{where}: another parent", with_image(number, parent=digest("another"))
        yield f"{where}: another chain", with_image(number, chain="lab")
        yield f"{where}: no layers", with_image(number, layers=())
        yield f"{where}: too old packages", with_image(number, outdated={"openssl": 8})
        yield f"{where}: unknown packages", with_image(number, outdated=None)
        yield f"{where}: a forbidden path", with_image(number, written=("/usr/bin/x", "/srv/x"))
        yield f"{where}: unknown paths", with_image(number, written=None)
        for at in range(len(layers)):
            yield (
                f"{where}: layer {at} changed",
                with_image(number, layers=(*layers[:at], digest("x"), *layers[at + 1 :])),
            )
            yield f"{where}: layer {at} dropped", with_image(number, layers=layers[:at] + layers[at + 1 :])
            yield f"{where}: layer {at} twice", with_image(number, layers=(*layers[: at + 1], *layers[at:]))
        for at in range(len(layers) - 1):
            swapped = (*layers[:at], layers[at + 1], layers[at], *layers[at + 2 :])
            yield f"{where}: layers {at} and {at + 1} swapped", with_image(number, layers=swapped)
        for at in range(len(layers) + 1):
            yield f"{where}: layer added at {at}", with_image(number, layers=(*layers[:at], digest("x"), *layers[at:]))


def of_whole_lines() -> Iterator[tuple[str, Line]]:
    """Changes of a layer in all images that have it, as if the layers of ancestors were read from a child."""
    count = len(LINE[-1].layers)
    for at in range(count):
        for name, new in {"changed": (digest("x"),), "dropped": (), "twice": (LINE[-1].layers[at],) * 2}.items():
            line = [
                replace(image, layers=(*image.layers[:at], *new, *image.layers[at + 1 :]))
                if at < len(image.layers)
                else image
                for image in LINE
            ]
            yield f"layer {at} {name} in all images", line
    for at in range(count - 1):
        order = [*range(at), at + 1, at, *range(at + 2, count)]
        line = [replace(image, layers=tuple(LINE[-1].layers[i] for i in order[: len(image.layers)])) for image in LINE]
        yield f"layers {at} and {at + 1} swapped in all images", line


def of_statements() -> Iterator[tuple[str, Line]]:
    """Changes of statements and of their signers."""
    for number, image in enumerate(LINE):
        strangers = [people[-1] for team, people in PEOPLE.items() if team != TIERS[image.tier]]
        for which, signed in enumerate(image.statements):
            where = f"{image.tier}: statement {which} ({signed.statement.predicate_type})"
            subjects = signed.statement.subjects
            yield f"{where} dropped", with_statement(number, which, None)
            yield f"{where} unsigned", with_statement(number, which, replace(signed, signers=()))
            other_type = replace(signed, payload_type="application/json")
            yield f"{where} with another payload type", with_statement(number, which, other_type)
            yield (
                f"{where} with another type",
                with_statement(number, which, again(signed, predicate_type="https://example.org/x")),
            )
            for person in strangers:
                exchanged = replace(signed, signers=tuple(key(person) for _signer in signed.signers))
                yield f"{where} signed by {person}", with_statement(number, which, exchanged)
            for other in range(len(LINE)):
                if other != number:
                    kind = signed.statement.predicate_type
                    moved = next(
                        (each for each in LINE[other].statements if each.statement.predicate_type == kind), None
                    )
                    if moved is None:
                        continue
                    yield (
                        f"{where} of {LINE[other].tier}",
                        with_statement(number, which, replace(moved, signers=signed.signers)),
                    )
            extra = again(signed, subjects=(*subjects, Subject("evil", digest("evil"))))
            yield f"{where} with an extra subject", with_statement(number, which, extra)
            for at, subject in enumerate(subjects):
                rest = subjects[:at], subjects[at + 1 :]
                changes = {
                    "dropped": (),
                    "twice": (subject, subject),
                    "renamed": (Subject("x", subject.digest),),
                    "changed": (Subject(subject.name, digest("x")),),
                }
                for name, changed in changes.items():
                    mutated = again(signed, subjects=(*rest[0], *changed, *rest[1]))
                    yield f"{where} with subject {at} {name}", with_statement(number, which, mutated)


#: Values in a predicate that nothing judges: what they claim is only shown.
FREE = {
    ("buildDefinition", "internalParameters"),
    ("buildDefinition", "externalParameters", "role"),
    ("runDetails", "metadata"),
    ("warnedTests",),
}


def is_free(predicate, path, value) -> bool:
    """Say whether a value may be at a path, too."""
    match path:
        case ("runDetails", "builder", "id"):
            free = isinstance(value, str)  # builders have any name
        case ("passedTests",):
            free = value == ["evil"] and not predicate["passedTests"]
        case ("passedTests", number):
            free = number > 0 and isinstance(value, str)  # only the first one is required
        case ("configuration", number, "annotations", _key):
            # That own tests are missing is found only in the children.
            free = predicate["configuration"][number]["annotations"]["kind"] == "own"
        case ("configuration", *_rest):
            free = True
        case ("buildDefinition", "resolvedDependencies", _number, "annotations", "manifest"):
            free = value is None  # the configuration is enough
        case ("buildDefinition", "resolvedDependencies", number, "name"):
            free = predicate["buildDefinition"]["resolvedDependencies"][number]["name"] == "source"  # it is named twice
        case _:
            free = False
    return free


def paths_of(value, path=()):
    if path in FREE:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths_of(inner, (*path, name))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from paths_of(inner, (*path, index))
    else:
        yield path


def changed_at(document, path, value):
    document = copy.deepcopy(document)
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return document


def of_predicates() -> Iterator[tuple[str, Line]]:
    """Changes of each judged value in provenance and test results."""
    for number, image in enumerate(LINE):
        for which, signed in enumerate(image.statements[:-1]):  # the last one is the bill of materials
            predicate = signed.statement.predicate
            for path in paths_of(predicate):
                for value in ("evil", None, 7, ["evil"]):
                    if is_free(predicate, path, value):
                        continue
                    mutated = again(signed, predicate=changed_at(predicate, path, value))
                    title = f"{image.tier}: statement {which} has {value!r} at {'.'.join(map(str, path))}"
                    yield title, with_statement(number, which, mutated)


MUTATIONS = {structural: 100, of_whole_lines: 10, of_statements: 100, of_predicates: 100}


@pytest.mark.parametrize("mutations", MUTATIONS)
def test_each_single_change_breaks_a_link(mutations):
    assert failed(judge_image(POLICY, LINE, NOW)) == []
    count, unnoticed = 0, []
    for title, line in mutations():
        count += 1
        if line != LINE and not failed(judge_image(POLICY, line, NOW)):
            unnoticed.append(title)
    assert count > MUTATIONS[mutations]
    assert unnoticed == []


def test_every_failed_link_says_what_was_found_and_what_to_do():
    for mutations in MUTATIONS:
        for title, line in mutations():
            for link in judge_image(POLICY, line, NOW):
                assert link.detail, title
                assert link.ok is (link.action == ""), (title, link)
                assert "\n" not in link.detail + link.action


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
    st.data(),
)
def test_no_predicate_leads_to_an_error(value, data):
    number = data.draw(st.integers(0, len(LINE) - 1))
    which = data.draw(st.integers(0, len(LINE[number].statements) - 1))
    signed = LINE[number].statements[which]
    paths = [path[: data.draw(st.integers(1, len(path)))] for path in paths_of(signed.statement.predicate) if path]
    path = data.draw(st.sampled_from(paths))
    line = with_statement(number, which, again(signed, predicate=changed_at(signed.statement.predicate, path, value)))
    judge_image(POLICY, line, NOW)
