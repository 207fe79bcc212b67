# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tests of a tier's image: first start, suite, verdict.

Starts an image once, by its own settings: whether the engine can run what they say.

It is not asked what becomes of the program then. A server that misses a password, and ends at once with a message of
its own, was started.

The gate: a tier's image passes its tests, or it and what depends on it stay as they were.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..chain import tags
from ..chain.graph import Chain
from ..chain.tier import Tier
from ..contract.gate import Bench, FailedTest, Verdict, arguments, judge, passed_tag
from ..engine import services
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import ContractError, EngineError, EngineUnavailableError, RunError
from ..image import labels
from ..plan.decision import Action, find_own
from ..state.journal import Journal
from ..state.plan_records import Planned, read_plan, read_plans
from . import candidates
from .candidates import Candidate
from .failure import look_at, note_told, suspects

#: Seconds in which a program ends that cannot be executed.
_SOON = 0.3
_POLL_SECONDS = 0.05
#: What the runtime leaves in the log where the kernel refuses the program after the engine has started it.
_REFUSED = re.compile(
    r"^(?:standard_init_linux\.go:\d+: |\{\"msg\":\")?(exec (?:user process caused|\S+): .+)$", re.MULTILINE
)
#: Not what a program says: exit statuses of the runtime itself.
_CODES = frozenset({1, 126, 127, 255})
_LINES = 5
_SETTINGS = {"Entrypoint": "entrypoint", "Cmd": "cmd", "User": "user", "WorkingDir": "working_dir"}


def check_start(engine: Engine, image: Image, *, tier: str, labels: Mapping[str, str]) -> None:
    """Start a container of an image by its own settings, without a network, and end it.

    An image that has neither entrypoint nor command cannot be started by itself, and says so by that.

    Args:
        engine: The engine.
        image: The image.
        tier: Its tier, for the message.
        labels: Labels of the container, by which it is found should it be left behind.

    Raises:
        ContractError: It cannot be started; why is in the message.
        EngineUnavailableError: The engine does not answer.
    """
    config = image.config
    if not config.get("Entrypoint") and not config.get("Cmd"):
        return
    reason = _reason(engine, image, labels)
    if reason is not None:
        said = ", ".join(f"{name} {config[key]!r}" for key, name in _SETTINGS.items() if config.get(key))
        raise ContractError(
            f"tier {tier!r}: its image cannot be started with {said}: {reason}; correct the settings of the image "
            "(tier_config, or <role>_tier_config of the role); cmd: [] and entrypoint: [] say that it has no command"
        )


def _reason(engine: Engine, image: Image, labels: Mapping[str, str]) -> str | None:
    """Why an image cannot be started; ``None`` where it can."""
    try:
        made = engine.services.start(services.Setting(image.id, labels))
    except EngineUnavailableError:
        raise
    except EngineError as error:
        return str(error).partition("the engine says: ")[2] or str(error)
    try:
        return _refused(engine, made)
    finally:
        engine.containers.remove(made)


def _refused(engine: Engine, container: str) -> str | None:
    """Why the kernel refused the program of a container that was started; ``None`` where it runs, or ran."""
    until = time.monotonic() + _SOON
    while (state := engine.services.state(container)).running and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    if state.running or state.exit_code not in _CODES:
        return None
    found = _REFUSED.search(engine.services.logs(container, _LINES))
    return found[1] if found else None


#: What comes between how many tests fail and which: the reason ends before it.
_FIRST = ", first"

#: Failed tests that a message tells of, at most; the first one with its containers' logs.
_TOLD = 5


def prove(engine: Engine, journal: Journal, name: str, timeout: float) -> Verdict | None:
    """Start and test a tier's candidate, or test the image that it keeps, and record how it ended.

    Args:
        engine: The engine.
        journal: The run.
        name: The tier.
        timeout: Seconds that the tests may take.

    Returns:
        How it did; ``None`` where there is nothing to test, or the image passed these very tests before.

    Raises:
        ContractError: The image cannot be started, or a test failed; whose, why, and what may be the cause is told at
            the end of the run.
        RunError: The run has ended, or nothing was built.
        EngineError: The engine refused.
    """
    planned = read_plan(journal, name)
    candidate = _candidate(engine, journal, planned)
    verdict = None
    if candidate.tag is not None:
        _start(engine, journal, planned, candidate)
    if planned.tests:
        verdict = _test(engine, journal, planned, candidate, timeout)
    candidates.accept(engine, journal, planned.tier)
    return verdict


def _candidate(engine: Engine, journal: Journal, planned: Planned) -> Candidate:
    tier = planned.tier
    candidate = candidates.read(journal, tier.name)
    if candidate is None and planned.action is Action.KEEP and planned.image is not None:
        candidates.propose_kept(engine, journal, tier, planned.image, "kept")
        candidate = candidates.read(journal, tier.name)
    if candidate is None:
        raise RunError(f"tier {tier.name!r} has no image to test in run {journal.run}; seal it first")
    return candidate


def _start(engine: Engine, journal: Journal, planned: Planned, candidate: Candidate) -> None:
    """Start a new image once."""
    tier, image = planned.tier, engine.images.get(candidate.image)
    try:
        work = {**labels.work(journal.run, tier.name), labels.CHAIN: planned.chain}
        check_start(engine, image, tier=tier.name, labels=work)
    except ContractError as error:
        named = _name_failed(engine, tier, image, candidate)
        journal.failed(tier.name, str(error))
        raise ContractError(f"{error}\nthe image is {named}") from error


def _test(engine: Engine, journal: Journal, planned: Planned, candidate: Candidate, timeout: float) -> Verdict | None:
    tier, suite = planned.tier, planned.tests
    image = engine.images.get(candidate.image)
    neighbours = {name: _neighbour(engine, journal, name) for name in tier.neighbours}
    tag = passed_tag(image.id, suite.digest(), neighbours)
    asked = planned.action is Action.KEEP and planned.forced
    if image.is_named(f"{tier.image}:{tag}") and not asked:
        return None
    there = {name: each for name, each in neighbours.items() if each}
    bench = Bench(tier.name, image.id, there, journal.run, tuple(name for name in neighbours if name not in there))
    verdict = judge(suite, bench, timeout)
    _record(journal, bench, verdict)
    if not verdict.passed:
        named = _name_failed(engine, tier, image, candidate)
        chain, _planned = read_plans(journal)
        lines = list(_told(engine, chain, bench, verdict, named))
        reason = lines[0].partition(_FIRST)[0]
        journal.failed(tier.name, reason)
        note_told(journal, tier.name, lines)
        raise ContractError(reason)
    _note_passed(engine, tier, image, tag)
    return verdict


def _neighbour(engine: Engine, journal: Journal, name: str) -> str | None:
    """The image of a neighbour: what this run made of it, else its release; ``None`` where there is neither."""
    planned = read_plan(journal, name)
    made = journal.wait(name).image if planned.runs else planned.image
    if made is not None:
        return made
    released = find_own(engine.images.find, planned.tier, planned.tier.release)
    return released.id if released else None


def _record(journal: Journal, bench: Bench, verdict: Verdict) -> None:
    failed = [
        {
            "test": _short(each.test),
            "owner": each.owner.team if each.owner else None,
            "tier": each.owner.tier if each.owner else None,
            "message": each.message,
            "log": each.log,
        }
        for each in verdict.failed
    ]
    told = {"image": bench.image, "passed": verdict.passed, "seconds": verdict.seconds, "tests": verdict.tests}
    told["ran"] = [{"test": _short(name), "seconds": seconds} for name, seconds in verdict.ran]
    journal.write("tested", bench.tier, {**told, "failed": failed})


def _name_failed(engine: Engine, tier: Tier, image: Image, candidate: Candidate) -> str:
    """Give an image that failed a name to look at it by, unless it has one.

    Returns:
        A name of it.
    """
    if image.is_named(tier.release):
        return tier.release
    named = [each for each in image.tags if not tags.building_run(each.rpartition(":")[2])]
    if named or candidate.tag is None:
        return named[0] if named else image.id
    tag = tags.failed(candidate.tag)
    engine.images.tag(image.id, tier.image, tag)
    return f"{tier.image}:{tag}"


def _note_passed(engine: Engine, tier: Tier, image: Image, tag: str) -> None:
    """Let the image's name say which tests it passed, these and no earlier ones."""
    engine.images.tag(image.id, tier.image, tag)
    for each in image.tags:
        repository, _, old = each.rpartition(":")
        if repository == tier.image and old != tag and (tags.is_tested(old) or tags.is_failed(old)):
            engine.images.remove(each)


def _told(engine: Engine, chain: Chain, bench: Bench, verdict: Verdict, image: str) -> Iterator[str]:
    """Yield the lines that say what failed, whose it is, what may be the cause, and how to see it again."""
    first, *others = verdict.failed
    failed = len({each.test for each in verdict.failed})
    count = f"{failed} of {verdict.tests} tests fail" if verdict.tests else "its tests cannot be run"
    yield f"tier {bench.tier!r} is refused: {count}{_FIRST} {_short(first.test) or 'of all'}{_whose(first)}"
    yield from (f"  {line}" for line in first.message.splitlines())
    yield from (f"  {line}" for line in first.log.splitlines())
    for each in others[: _TOLD - 1]:
        yield f"also {_short(each.test)}{_whose(each)}: {each.message.partition(chr(10))[0]}"
    if len(others) >= _TOLD:
        yield f"and {len(others) - _TOLD + 1} more"
    yield "under suspicion, since it differs from the last release:"
    changed = list(suspects(engine, chain, bench.image, bench.neighbours))
    yield from (f"  {line}" for line in changed or ["no image; so it is the tests, or the machine that they ran on"])
    yield "to look at the image:"
    yield f"  {look_at(image)}"
    yield "to run just this test:"
    yield f"  {_command(engine, chain, bench, image, first.test)}"


def _whose(failure: FailedTest) -> str:
    return f" (of tier {failure.owner.tier!r}, team {failure.owner.team})" if failure.owner else ""


def _command(engine: Engine, chain: Chain, bench: Bench, image: str, test: str) -> str:
    named = {name: _name_of(engine, chain[name], each) for name, each in bench.neighbours.items()}
    shown = Bench(bench.tier, image, named, bench.run)
    return shlex.join(["pytest", *([_short(test)] if test else []), *arguments(shown)])


def _name_of(engine: Engine, tier: Tier, image: str) -> str:
    """A name of an image that people can read, while it has one."""
    found = engine.images.find(image)
    names = [each for each in (found.tags if found else ()) if not tags.building_run(each.rpartition(":")[2])]
    return tier.release if tier.release in names else next(iter(names), image)


def _short(test: str) -> str:
    """A test's name for pytest, from here."""
    path, separator, rest = test.partition("::")
    inside = bool(path) and Path(path).is_relative_to(Path.cwd())
    return f"{os.path.relpath(path) if inside else path}{separator}{rest}"
