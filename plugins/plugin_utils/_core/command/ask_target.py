# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks the engine or a cluster what it runs for sites."""

from __future__ import annotations

import importlib.util

from ..deployment.cluster import connect_cluster
from ..deployment.deployed import deployed_on_cluster, deployed_on_engine
from ..deployment.deployed_service import DeployedSites
from ..engine.engine import connect
from ..errors import EngineError, UsageError
from ..layer_index.index import Store
from ..transports.registries import Registries
from ..transports.transport import open_place


def ask_target(site: str | None, context: str | None, namespace: str | None) -> DeployedSites:
    """Ask what runs.

    Args:
        site: The site; all sites without one.
        context: The context of a cluster in kubectl's configuration.
        namespace: The namespace. Without a context and a namespace, the engine is asked.

    Raises:
        UsageError: A cluster is named, but no namespace.
        EngineError: The engine or the cluster does not answer, or the package for clusters is missing.
    """
    registries = Registries()
    if context is None and namespace is None:
        return deployed_on_engine(connect(), open_place("", "", Store()), site, registries.reader)
    if importlib.util.find_spec("kubernetes") is None:
        raise EngineError("asking a cluster needs the Python package kubernetes; install tierwright[kubernetes]")
    if namespace is None and site is None:
        raise UsageError("--context names a cluster, but no namespace; add --namespace NAMESPACE, or name the site")
    return deployed_on_cluster(connect_cluster(str(namespace or site), context), site, registries.reader)
