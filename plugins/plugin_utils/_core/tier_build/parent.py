# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a tier waits for: the image of its parent, and later the parent's tests.

A build begins on the parent's candidate, while the candidate is tested. What is built on it stays a candidate until the
parent has passed. If the parent fails, its children fail, however far they are.
"""

from __future__ import annotations

from .. import stopwatch
from ..errors import RunError
from ..plan.decision import Action
from ..state.journal import Journal, Outcome
from ..state.plan_records import Planned, read_plan
from . import candidates


def parent_in_run(journal: Journal, planned: Planned) -> str | None:
    """Return the name of the tier's parent if this run builds or tests the parent; else ``None``.

    Raises:
        RunError: The run has ended, or its record of the parent is damaged.
    """
    parent = planned.tier.parent
    if parent is None or ("parent" in planned.parts and not read_plan(journal, parent).runs):
        return None
    return parent


def wait_for_parent(journal: Journal, planned: Planned) -> str:
    """Wait until the tier's parent has an image, which may still have to pass its tests.

    Returns:
        The ID of the parent's image.

    Raises:
        RunError: The tier is a base, the parent failed, or the run has ended.
    """
    tier = planned.tier
    if tier.parent is None:
        raise RunError(f"tier {tier.name!r} is a base; it has no parent to wait for")
    parent = parent_in_run(journal, planned)
    if parent is None:
        return planned.parts["parent"]

    def look() -> Outcome | None:
        candidate = candidates.read(journal, parent)
        return journal.outcome(parent) or (Outcome(candidate.image, candidate.reason) if candidate else None)

    with stopwatch.measured("wait for the parent"):
        found = journal.wait_for(parent, look)
    if found.image is None:
        raise RunError(lost_parent(journal, tier.name, parent))
    return found.image


def lost_parent(journal: Journal, tier: str, parent: str | None) -> str:
    """Say why a tier cannot be built any more. Do not wait for the parent's tests.

    Args:
        journal: The journal of the run.
        tier: Name of the tier.
        parent: Name of its parent, from :func:`parent_in_run`.

    Returns:
        One sentence if the parent failed; empty if it did not, or not yet.
    """
    outcome = journal.outcome(parent) if parent else None
    if outcome is None or outcome.image is not None:
        return ""
    return f"tier {tier!r} is not built: its parent {parent!r} failed"


def check_parent(journal: Journal, planned: Planned) -> None:
    """Make sure that the parent has not failed since the build began.

    Raises:
        RunError: The parent failed.
    """
    if why := lost_parent(journal, planned.tier.name, parent_in_run(journal, planned)):
        raise RunError(why)


def wait_for_tests_of_parent(journal: Journal, planned: Planned) -> None:
    """Wait until the parent of a tier that is built has passed its tests.

    Raises:
        RunError: The parent failed, or the run has ended.
    """
    parent = parent_in_run(journal, planned)
    if parent and planned.action is Action.BUILD:
        with stopwatch.measured("wait for the tests of the parent"):
            journal.wait(parent)
        check_parent(journal, planned)
