# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.watch_survey``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.names import split_registry
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier_names import GROUP
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.choose_images import split_image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.cluster import connect_cluster
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.settings import read_by_service
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm_entry import ENTRY
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.wordpress_site import PROXY
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, TierwrightError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover import lock_file
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.chain_inventory import ChainInventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.registry_settings import read_registries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.watch_variables import (
    read_watch_settings,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.playbook_answer import Refusal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    read_inventory,
    write_answer,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.chain_survey import (
    ChainState,
    survey_candidates,
    survey_releases,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.site_survey import (
    check_target,
    choose_images,
    running_in_cluster,
    running_in_engine,
    survey_site,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import VARIABLE, Survey

_SWARM = "swarm"


class ActionModule(ChainAction):
    """Compares what runs and what is locked with what is released. Nothing is changed."""

    _supports_check_mode = True

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        dest = self._task.args.get("dest")
        try:
            survey = _survey(variables)
        except TierwrightError as error:
            if dest:
                write_answer(VARIABLE, Path(str(dest)), Refusal.of(error))
            raise
        if dest:
            write_answer(VARIABLE, Path(str(dest)), survey)
        needs = [f"{need.kind.value} {need.about}" for need in survey.needs if need.reasons]
        return {"changed": False, "needs": needs, "problems": survey.problems}


def _survey(variables: Mapping[str, Any]) -> Survey:
    inventory = read_inventory(variables) if variables["groups"].get(GROUP) else None
    site = variables["hostvars"][variables["inventory_hostname"]]
    settings = read_watch_settings(inventory, site)
    target = str(site.get("deploy_target") or _SWARM) if settings.deploy else ""
    survey = Survey(settings, [], uses_engine=target == _SWARM)
    if inventory is not None and (settings.follow or settings.candidates):
        _survey_chain(inventory, survey)
    if settings.deploy:
        if len(variables["ansible_play_hosts_all"]) > 1:
            raise ChainError(
                "deploy_hosts names several hosts, but a watcher watches one site; start one watcher for each, with "
                "-e deploy_hosts=HOST"
            )
        try:
            _survey_site(site, target, survey)
        except ChainError:
            raise
        except TierwrightError as error:
            survey.problems.append(str(error))
    return survey


def _survey_chain(inventory: ChainInventory, survey: Survey) -> None:
    followed = [tier for tier in inventory.chain if tier.followed is not None]
    if not followed:
        raise ChainError(
            "watch_follow or watch_candidates is true, but no tier of the inventory follows an image of another team; "
            "set tier_follow for one, or set them to false"
        )
    locked = {}
    for tier in followed:
        if entry := lock_file.read_lock(inventory.lock_path(tier.name)).get(tier.name):
            locked[tier.name] = entry
    connect_registry = inventory.registries.reader
    states: list[ChainState] = []
    if survey.settings.follow:
        states.append(survey_releases(inventory.name, followed, locked, connect_registry))
    if survey.settings.candidates:
        states.append(survey_candidates(inventory.name, inventory.chain, locked, connect_registry))
    for state in states:
        survey.needs.extend(state.needs)
        survey.problems.extend(state.problems)
    survey.repositories.extend(tier.followed.image for tier in followed if tier.followed)


def _survey_site(site: Mapping[str, Any], target: str, survey: Survey) -> None:
    name = str(site.get("deploy_name") or "site")
    check_target(target, site.get("deploy_render_to"))
    images = site["deploy_images"]
    if not isinstance(images, Mapping):
        raise ChainError(f"deploy_images is {images!r}; expected a dictionary by service")
    names = {service: str(image) for service, image in read_by_service("deploy_images", images, {}).items()}
    folder = Path(str(site.get("inventory_dir") or "."))
    registries = Registries(read_registries(site.get("deploy_registries") or {}, folder))
    for service, image in names.items():
        repository, reference = split_image(service, image)
        if split_registry(repository):
            survey.repositories.append(repository)
        else:
            survey.local_images.append(f"{repository}:{reference}")
    if target == _SWARM:
        engine = connect()
        wanted = choose_images(names, registries.reader, engine)
        running = running_in_engine(engine, name)
        if ENTRY in running:
            wanted = {**wanted, ENTRY: wanted[PROXY]}
    else:
        wanted = choose_images(names, registries.reader, None)
        namespace = str(site.get("deploy_namespace") or name)
        cluster = connect_cluster(namespace, site.get("deploy_context") or None)
        running = running_in_cluster(cluster, name)
    survey.needs.append(survey_site(name, wanted, running))
