# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.site_deploy``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.names import split_registry
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.choose_images import (
    choose_image,
    split_image,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.cluster import connect_cluster
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.cluster_deployment import (
    ClusterDeployment,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployment_record import (
    DeploymentRecord,
    DeployOutcome,
    begin_record,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.kubernetes import (
    ClusterSettings,
    render,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.quadlet import (
    quadlet_files,
    secret_script,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.rendered_files import (
    RenderedFile,
    compare_files,
    manifest_files,
    write_files,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.secret_values import SecretValues
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.settings import (
    read_by_service,
    read_limits,
    read_secrets,
    read_size,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.site import (
    Site,
    SiteVolume,
    check_site,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.site_lock import site_lock
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm import (
    SwarmSettings,
    swarm_secrets,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm_deployment import SwarmDeployment
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.swarm_entry import with_entry
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.wordpress_site import (
    SiteSettings,
    make_site,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine, connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.image_checks import make_checker
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.policy_settings import read_chain_policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.registry_settings import read_registries
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import ChainAction
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.version_memory import VersionMemory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registries import Registries

_KUBERNETES = {"kubernetes", "openshift"}
_FAILED = {DeployOutcome.FAILED, DeployOutcome.ROLLED_BACK}


class ActionModule(ChainAction):
    """Deploys a site, or renders its files."""

    _supports_check_mode = True

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        args = self._task.args
        target, folder = str(args["target"]), args.get("render_to")
        secrets = SecretValues({}) if args.get("existing_secret") else read_secrets(args.get("secrets") or {})
        needs_engine = target == "swarm" or (target == "quadlet" and _needs_engine(args.get("images") or {}))
        engine = connect() if needs_engine else None
        site = _read_site(args, engine, Path(str(variables.get("inventory_dir") or ".")))
        check_site(site)
        if target == "swarm":
            if folder:
                raise ChainError(
                    "deploy_render_to is set, but swarm reads no files; remove it, or choose a different target"
                )
            return self._deploy_to_swarm(site, secrets, engine or connect())
        if target in _KUBERNETES:
            return self._deploy_to_cluster(site, secrets, target)
        if not folder:
            raise ChainError("the target is quadlet; set deploy_render_to to the folder for its files")
        names = {key: each.name for key, each in swarm_secrets(site, secrets).items()}
        script = secret_script(site, {name: secrets.values[key] for key, name in names.items()})
        return {**self._write(folder, [*quadlet_files(site, names), script]), "secrets": sorted(names.values())}

    def _deploy_to_swarm(self, site: Site, secrets: SecretValues, engine: Engine) -> dict[str, Any]:
        args = self._task.args
        settings = SwarmSettings(bool(args.get("mesh")), tuple(args.get("constraints") or ()))
        entries = 0 if settings.mesh else int(args.get("entries") or 0)
        deployment = SwarmDeployment(engine, with_entry(site, entries), settings, secrets, say)
        if self._task.check_mode:
            plan = deployment.plan()
            return {"changed": set(plan.values()) != {"unchanged"}, "plan": plan}
        with site_lock(site.name):
            return _answer(deployment.run(begin_record(deployment.site, "swarm")))

    def _deploy_to_cluster(self, site: Site, secrets: SecretValues, target: str) -> dict[str, Any]:
        args = self._task.args
        settings = ClusterSettings(
            namespace=str(args.get("namespace") or site.name),
            openshift=target == "openshift",
            create_namespace=bool(args.get("create_namespace")),
            host=str(args.get("host") or ""),
            ingress_class=str(args.get("ingress_class") or ""),
            tls_secret=str(args.get("tls_secret") or ""),
            image_triggers=bool(args.get("image_triggers")),
            existing_secret=str(args.get("existing_secret") or ""),
        )
        groups = render(site, settings, secrets)
        if folder := args.get("render_to"):
            return self._write(folder, manifest_files(groups))
        cluster = connect_cluster(settings.namespace, args.get("context"))
        deployment = ClusterDeployment(cluster, site, settings.namespace, groups, say, settings.image_triggers)
        with site_lock(site.name):
            changes = deployment.check()
            plan = deployment.plan(changes)
            changed = any(change.is_change for change in changes) or set(plan.values()) != {"unchanged"}
            shown = {"diff": [change.difference for change in changes if change.is_change]} if self._task.diff else {}
            if self._task.check_mode:
                return {"changed": changed, "plan": plan, **shown}
            return {**_answer(deployment.run(begin_record(site, target), changes)), "changed": changed, **shown}

    def _write(self, folder: Any, files: list[RenderedFile]) -> dict[str, Any]:
        path = Path(str(folder))
        changes = compare_files(path, files)
        if not self._task.check_mode:
            write_files(path, changes)
        for change in changes:
            done = "removed" if change.after is None else "wrote"
            todo = "would remove" if change.after is None else "would write"
            say(f"{todo if self._task.check_mode else done} {change.path}")
        differences = {"diff": [change.difference for change in changes]} if self._task.diff else {}
        return {"changed": bool(changes), "files": [str(path / file.name) for file in files], **differences}


def _needs_engine(images: Mapping[str, Any]) -> bool:
    repositories = (split_image(service, str(name))[0] for service, name in images.items())
    return any(split_registry(repository) is None for repository in repositories)


def _read_site(args: Mapping[str, Any], engine: Engine | None, folder: Path) -> Site:
    registries = Registries(read_registries(args.get("registries"), folder))
    named = {"deploy_policy": args.get("policy") or None, "deploy_policy_keys": args.get("policy_keys")}
    policy = read_chain_policy(named, folder, VersionMemory(f"site {args['name']}"), "deploy")
    checker = make_checker(policy, registries, say)
    names = read_by_service("deploy_images", args.get("images") or {}, {})
    uploads, data = (args.get(name) or {} for name in ("uploads", "data"))
    defaults = SiteSettings("", {}, {}, {})
    settings = SiteSettings(
        name=str(args["name"]),
        images={
            service: choose_image(service, str(name), registries.reader, engine, checker)
            for service, name in names.items()
        },
        replicas={
            service: int(number)
            for service, number in read_by_service(
                "deploy_replicas", args.get("replicas") or {}, {"mariadb": 1, "wordpress": 2, "haproxy": 2}
            ).items()
        },
        limits=read_limits(args.get("limits") or {}),
        port=int(args.get("port") or defaults.port),
        database=str(args.get("database") or defaults.database),
        user=str(args.get("user") or defaults.user),
        table_prefix=str(args.get("table_prefix") or defaults.table_prefix),
        config_extra=str(args.get("config_extra") or ""),
        most_replicas=int(args.get("most_replicas") or 0),
        start_timeout=int(args.get("start_timeout") or defaults.start_timeout),
        uploads=_volume("uploads", uploads, defaults.uploads),
        data=_volume("data", data, defaults.data),
    )
    return make_site(settings)


def _volume(name: str, value: Mapping[str, Any], default: SiteVolume) -> SiteVolume:
    variable = f"deploy_{name}"
    return replace(
        default,
        size=read_size(f"{variable}.size", value["size"]) if value.get("size") else default.size,
        storage_class=str(value.get("storage_class") or ""),
        driver=str(value.get("driver") or ("local" if value.get("options") else "")),
        options={str(key): str(option) for key, option in (value.get("options") or {}).items()},
    )


def _answer(record: DeploymentRecord) -> dict[str, Any]:
    """Return the task's result.

    Raises:
        EngineError: A service was rolled back, or failed.
    """
    for service in record.services:
        say(f"{service.service}: {service.outcome.value}" + (f": {service.reason}" if service.reason else ""))
    for service in record.services:
        if service.outcome in _FAILED:
            went_back = service.outcome is DeployOutcome.ROLLED_BACK
            after = f"{service.before} runs again" if went_back else "see the target for what runs now"
            raise EngineError(
                f"site {record.site!r}: {service.service} with {service.image} (tier {service.tier or '?'}, team "
                f"{service.team or '?'}) did not become healthy: {service.reason or 'no reason is known'}; {after}. "
                f"Record: {record.id}"
            )
    services = [{**asdict(service), "outcome": service.outcome.value} for service in record.services]
    return {"changed": record.outcome is not DeployOutcome.UNCHANGED, "deployment": record.id, "services": services}
