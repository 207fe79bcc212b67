# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a comparison finds: the kinds of work, what each is about, and whether it has to be done.

A survey is made inside Ansible, which alone can read inventories and vaults (``playbooks/watch_survey.yml``). It is
an answer as JSON, and contains no secret. :func:`.work.decide` turns it into decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum

import msgspec

from ..errors import PlanError, wrap_errors
from ..plan.playbook_answer import ask
from ..records import decode
from .settings import WatchSettings

#: The playbook of this collection that makes a survey, and the variable that names the file for it.
PLAYBOOK = "tierwright.chain.watch_survey"
VARIABLE = "watch_survey_file"
#: Limit of a survey, in seconds. Registries that do not answer have limits of their own, which are shorter.
_SECONDS = 900.0


class WorkKind(Enum):
    """A kind of work."""

    #: Lock the newest release of followed tiers, build and test what is based on it, and publish it if the inventory
    #: says so.
    FOLLOW = "follow"
    #: Build and test upon candidates of followed tiers, and publish the verdicts.
    TRY = "try candidates"
    #: Roll out the images that the tags of the site name now.
    DEPLOY = "deploy"


class WorkNeed(msgspec.Struct, frozen=True):
    """Whether one kind of work has to be done, for one chain or one site."""

    kind: WorkKind
    #: The chain, or the site.
    about: str
    #: What the work is about: followed tiers, or services, and the digests that they shall have. Equal subjects are
    #: the same work.
    subject: Mapping[str, str]
    #: Why the work has to be done, one sentence for each difference; empty if there is no difference.
    reasons: tuple[str, ...] = ()
    #: Why this subject must not be tried again: the target has rolled it back; empty if nothing is known.
    rejected: str = ""
    #: Whether somebody works on it at the moment.
    busy: bool = False
    #: Whether somebody began exactly this work and did not end it.
    interrupted: bool = False


class Survey(msgspec.Struct, frozen=True):
    """What a comparison of what runs with what is released finds."""

    settings: WatchSettings
    needs: list[WorkNeed]
    #: What could not be compared, and why; one sentence each.
    problems: list[str] = msgspec.field(default_factory=list)
    #: Names of images in the engine that the site is deployed from: ``wordpress:latest``.
    local_images: list[str] = msgspec.field(default_factory=list)
    #: Whether the site runs in the engine that ``DOCKER_HOST`` names.
    uses_engine: bool = False
    #: Repositories that the survey asked about, with the hosts of their registries.
    repositories: list[str] = msgspec.field(default_factory=list)


#: Makes a survey; see :func:`ask_survey`.
Ask = Callable[[Sequence[str], Callable[[str], None], Callable[[], bool]], Survey]


def ask_survey(arguments: Sequence[str], say: Callable[[str], None], is_unwanted: Callable[[], bool]) -> Survey:
    """Compare, in a process of Ansible's own. Nothing is changed.

    Args:
        arguments: Options for ansible-playbook: inventories, vault passwords, variables.
        say: Called with Ansible's output if there is no answer.
        is_unwanted: Returns true as soon as nobody waits for the survey.

    Raises:
        ChainError: A variable of the inventory is wrong.
        PlanError: Ansible failed.
        RunError: Nobody waits for the survey any more.
    """
    text = ask(PLAYBOOK, VARIABLE, arguments, say, seconds=_SECONDS, is_unwanted=is_unwanted)
    with wrap_errors(f"the answer of ansible-playbook {PLAYBOOK}", PlanError):
        return decode(text, Survey)
