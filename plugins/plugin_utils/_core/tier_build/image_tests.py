# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate: starts a tier's image once, runs its tests, and records the result.

The first start only checks that the engine can run the image with its own settings. It does not check what the program
does then. A server that ends at once because a password is missing counts as started.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from .. import stopwatch
from ..chain import tags
from ..chain.graph import Chain
from ..chain.tier import Tier
from ..contract.gate import FailedTest, GateSubject, Verdict, arguments, run_suite
from ..contract.role_tests import passed_tag
from ..custody.gate_facts import noted_gate
from ..custody.record_store import LocalRecords
from ..engine import services
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import ContractError, EngineError, EngineUnavailableError, RunError
from ..image import labels
from ..plan.decision import Action
from ..plan.own_images import find_own
from ..state.journal import Journal
from ..state.kept_builds import resumed_build
from ..state.plan_records import Planned, read_plan, read_plans
from ..state.tier_records import GateRecord, PassedTest, RejectedTest, note_disturbance, write_tested
from . import candidates
from .build_notes import describe_suite, note_tests
from .candidates import Candidate
from .failure import note_failure, shell_command, suspects
from .long_wait import long_wait
from .parent import wait_for_tests_of_parent

#: Seconds to wait: a program that cannot be executed ends sooner.
_START_SECONDS = 0.3
_POLL_SECONDS = 0.05
#: The line in the log if the kernel cannot execute the program after the engine has started the container.
_EXEC_ERROR = re.compile(
    r"^(?:standard_init_linux\.go:\d+: |\{\"msg\":\")?(exec (?:user process caused|\S+): .+)$", re.MULTILINE
)
#: Exit statuses that the runtime itself uses.
_RUNTIME_CODES = frozenset({1, 126, 127, 255})
_LOG_LINES = 5
_SETTINGS = {"Entrypoint": "entrypoint", "Cmd": "cmd", "User": "user", "WorkingDir": "working_dir"}


def check_start(engine: Engine, image: Image, *, tier: str, labels: Mapping[str, str]) -> None:
    """Start a container of an image with the image's own settings, without a network, and remove it.

    An image without entrypoint and command is not meant to be started by itself, so it is not checked.

    Args:
        engine: The engine.
        image: The image.
        tier: Name of its tier, for the message.
        labels: Labels of the container, so that a later run can find and remove it.

    Raises:
        ContractError: The image cannot be started; the message contains the reason.
        EngineUnavailableError: The engine does not answer.
    """
    config = image.config
    if not config.get("Entrypoint") and not config.get("Cmd"):
        return
    with stopwatch.measured("start the image once"):
        reason = _try_start(engine, image, labels)
    if reason is not None:
        settings = ", ".join(f"{name} {config[key]!r}" for key, name in _SETTINGS.items() if config.get(key))
        raise ContractError(
            f"tier {tier!r}: its image cannot be started with {settings}: {reason}; correct the settings of the image "
            "(tier_config, or <role>_tier_config of the role). If the image has no command, set cmd: [] and "
            "entrypoint: []"
        )


def _try_start(engine: Engine, image: Image, labels: Mapping[str, str]) -> str | None:
    """Return the reason why an image cannot be started; ``None`` if it can."""
    try:
        container = engine.services.start(services.ContainerSettings(image.id, labels))
    except EngineUnavailableError:
        raise
    except EngineError as error:
        return str(error).partition("the engine says: ")[2] or str(error)
    try:
        return _find_exec_error(engine, container)
    finally:
        engine.containers.remove(container)


def _find_exec_error(engine: Engine, container: str) -> str | None:
    """Return why the kernel could not execute the program of a started container; ``None`` if it could."""
    deadline = time.monotonic() + _START_SECONDS
    while (state := engine.services.state(container)).running and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    if state.running or state.exit_code not in _RUNTIME_CODES:
        return None
    match = _EXEC_ERROR.search(engine.services.logs(container, _LOG_LINES))
    return match[1] if match else None


#: Separates the number of failed tests from the first one. The reason of the outcome ends before it.
_FIRST = ", first"

#: The largest number of failed tests that a message lists. Only the first one is shown with the logs of its containers.
_MAX_SHOWN = 5


def run_gate(
    engine: Engine,
    journal: Journal,
    name: str,
    timeout: float,
    say: Callable[[str], None] = lambda _line: None,
    *,
    is_signed: bool = False,
) -> Verdict | None:
    """Start and test a tier's candidate, or test the image that it keeps, and record the result.

    Args:
        engine: The engine.
        journal: The journal of the run.
        name: Name of the tier.
        timeout: Seconds that the tests may take.
        say: Called with lines for the user.
        is_signed: Whether the result will be signed. Then tests that passed before, but whose result was not noted on
            this machine, run again.

    Returns:
        The result of the tests; ``None`` if there are no tests, or if the image passed exactly these tests before.

    Raises:
        ContractError: The image cannot be started, or a test failed. The end of the run prints the failed tests, their
            owners, their messages, and possible causes.
        RunError: The run has ended, the tier has no image to test, or its parent failed.
        EngineError: The engine rejected a request.
    """
    planned = read_plan(journal, name)
    candidate = _find_candidate(engine, journal, planned)
    verdict = None
    resumed = resumed_build(journal, name) is not None
    if candidate.tag is not None or resumed:
        _check_first_start(engine, journal, planned, candidate)
    if planned.tests:
        verdict = _run_tests(engine, journal, planned, candidate, timeout, say, is_signed=is_signed)
    wait_for_tests_of_parent(journal, planned)
    candidates.accept(engine, journal, planned.tier)
    return verdict


def _find_candidate(engine: Engine, journal: Journal, planned: Planned) -> Candidate:
    tier = planned.tier
    candidate = candidates.read(journal, tier.name)
    if candidate is None and planned.action is Action.KEEP and planned.image is not None:
        candidates.propose_kept(engine, journal, tier, planned.image, "kept")
        candidate = candidates.read(journal, tier.name)
    if candidate is None:
        raise RunError(f"tier {tier.name!r} has no image to test in run {journal.run}; seal it first")
    return candidate


def _check_first_start(engine: Engine, journal: Journal, planned: Planned, candidate: Candidate) -> None:
    """Start a new image once, and record a failure."""
    tier, image = planned.tier, engine.images.get(candidate.image)
    try:
        work = {**labels.work(journal.run, tier.name), labels.CHAIN: planned.chain}
        check_start(engine, image, tier=tier.name, labels=work)
    except ContractError as error:
        wait_for_tests_of_parent(journal, planned)  # if the parent failed too, that is the cause
        name = _tag_failed(engine, tier, image, candidate)
        journal.failed(tier.name, str(error))
        raise ContractError(f"{error}\nthe image is {name}") from error


def _run_tests(
    engine: Engine,
    journal: Journal,
    planned: Planned,
    candidate: Candidate,
    timeout: float,
    say: Callable[[str], None],
    *,
    is_signed: bool,
) -> Verdict | None:
    tier, suite = planned.tier, planned.tests
    image = engine.images.get(candidate.image)
    with stopwatch.measured("wait for neighbours"):
        neighbours = {name: _find_neighbour(engine, journal, name) for name in tier.neighbours}
    tag = passed_tag(image.id, suite.digest(), neighbours)
    forced = planned.action is Action.KEEP and planned.forced
    is_noted = not is_signed or noted_gate(LocalRecords(), image.id) is not None
    if image.is_named(f"{tier.image}:{tag}") and is_noted and not forced:
        return None
    existing = {name: image_id for name, image_id in neighbours.items() if image_id}
    missing = tuple(name for name in neighbours if name not in existing)
    subject = GateSubject(tier.name, image.id, existing, journal.run, missing)
    folders = describe_suite(suite)
    try:
        with stopwatch.measured("run the tests"), long_wait(f"{tier.name}: its tests run", say):
            verdict = run_suite(suite, subject, timeout)
    except ContractError as error:  # the tests could not begin, or lost their run
        note_disturbance(journal, tier.name, str(error))
        raise
    wait_for_tests_of_parent(journal, planned)  # if the parent failed, this result tells nothing
    _record(journal, subject, verdict)
    resumed = resumed_build(journal, tier.name) is not None
    if not resumed:  # nobody signs anything about an image that is never released
        note_tests(subject, suite, folders, verdict, say)
    if not verdict.passed:
        name = _tag_failed(engine, tier, image, candidate)
        chain, _planned = read_plans(journal)
        lines = list(_explain_failure(engine, chain, subject, verdict, name))
        reason = lines[0].partition(_FIRST)[0]
        journal.failed(tier.name, reason)
        note_failure(journal, tier.name, lines)
        raise ContractError(reason)
    if not resumed:
        _tag_passed(engine, tier, image, tag)
    return verdict


def _find_neighbour(engine: Engine, journal: Journal, name: str) -> str | None:
    """Return the ID of a neighbour's image: the image of this run, else the released image, else ``None``."""
    planned = read_plan(journal, name)
    image_id = journal.wait(name).image if planned.runs else planned.image
    if image_id is not None:
        return image_id
    released = find_own(engine.images.find, planned.tier, planned.tier.release)
    return released.id if released else None


def _record(journal: Journal, subject: GateSubject, verdict: Verdict) -> None:
    failed = tuple(
        RejectedTest(
            test=_relative(failure.test),
            owner=failure.owner.team if failure.owner else None,
            tier=failure.owner.tier if failure.owner else None,
            message=failure.message,
            log=failure.log,
        )
        for failure in verdict.failed
    )
    ran = tuple(PassedTest(_relative(name), seconds) for name, seconds in verdict.ran)
    record = GateRecord(subject.image, verdict.passed, verdict.seconds, verdict.tests, ran, failed)
    write_tested(journal, subject.tier, record)


def _tag_failed(engine: Engine, tier: Tier, image: Image, candidate: Candidate) -> str:
    """Give a failed image the tag ``failed-…``, unless it has a different name already.

    Returns:
        A name of the image, or its ID.
    """
    if image.is_named(tier.release):
        return tier.release
    names = [name for name in image.tags if not tags.building_run(name.rpartition(":")[2])]
    if names or candidate.tag is None:
        return names[0] if names else image.id
    tag = tags.failed(candidate.tag)
    engine.images.tag(image.id, tier.image, tag)
    return f"{tier.image}:{tag}"


def _tag_passed(engine: Engine, tier: Tier, image: Image, tag: str) -> None:
    """Give an image the tag of the tests that it passed, and remove the tags of earlier tests."""
    engine.images.tag(image.id, tier.image, tag)
    for name in image.tags:
        repository, _, old = name.rpartition(":")
        if repository == tier.image and old != tag and (tags.is_tested(old) or tags.is_failed(old)):
            engine.images.remove(name)


def _explain_failure(engine: Engine, chain: Chain, subject: GateSubject, verdict: Verdict, image: str) -> Iterator[str]:
    """Yield the explanation to print: failed tests and their owners, possible causes, and how to repeat the test."""
    first, *others = verdict.failed
    failed = len({failure.test for failure in verdict.failed})
    count = f"{failed} of {verdict.tests} tests fail" if verdict.tests else "its tests cannot be run"
    yield f"tier {subject.tier!r} is rejected: {count}" + (f"{_FIRST} {_name_test(first)}" if first.test else "")
    yield from (f"  {line}" for line in first.message.splitlines())
    yield from (f"  {line}" for line in first.log.splitlines())
    for failure in others[: _MAX_SHOWN - 1]:
        yield f"also {_name_test(failure)}: {failure.message.partition(chr(10))[0]}"
    if len(others) >= _MAX_SHOWN:
        yield f"and {len(others) - _MAX_SHOWN + 1} more"
    yield "possible causes, changed since the last release:"
    changed = list(suspects(engine, chain, subject.image, subject.neighbours))
    no_change = "no image changed: the cause is in the tests, or in the machine that they ran on"
    yield from (f"  {line}" for line in changed or [no_change])
    yield "to look at the image:"
    yield f"  {shell_command(image)}"
    if first.owner is not None and first.owner.origin is not None:
        yield "to run the tests again (those of other teams run only in a sandbox):"
        yield f"  ansible-playbook playbooks/test_chain.yml --limit {shlex.quote(subject.tier)}"
        return
    yield "to run only this test:" if first.test else "to run the tests:"
    yield f"  {_test_command(engine, chain, subject, image, first.test)}"


def _name_test(failure: FailedTest) -> str:
    owner = f" (of tier {failure.owner.tier!r}, team {failure.owner.team})" if failure.owner else ""
    return f"{_relative(failure.test)}{owner}"


def _test_command(engine: Engine, chain: Chain, subject: GateSubject, image: str, test: str) -> str:
    names = {name: _readable_name(engine, chain[name], image_id) for name, image_id in subject.neighbours.items()}
    named_subject = GateSubject(subject.tier, image, names, subject.run)
    return shlex.join(["pytest", *([_relative(test)] if test else []), *arguments(named_subject)])


def _readable_name(engine: Engine, tier: Tier, image_id: str) -> str:
    """Return a name of an image, or its ID if it has no name."""
    image = engine.images.find(image_id)
    names = [name for name in (image.tags if image else ()) if not tags.building_run(name.rpartition(":")[2])]
    return tier.release if tier.release in names else next(iter(names), image_id)


def _relative(test: str) -> str:
    """Return the ID of a test for pytest, relative to the current folder if the test is inside it."""
    path, separator, rest = test.partition("::")
    inside = bool(path) and Path(path).is_relative_to(Path.cwd())
    return f"{os.path.relpath(path) if inside else path}{separator}{rest}"
