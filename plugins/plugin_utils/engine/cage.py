# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build container may and may not do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: What installing packages needs and no more (measured: apache2, php-fpm and mariadb-server install with these).
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")

#: Processes at once.
PIDS_LIMIT = 4096

#: Where Ansible keeps its files in a build container. /dev is the container's own tmpfs, so that neither the files
#: nor the mount point reach the layer (measured: `docker diff` stays empty).
REMOTE_TMP = "/dev/tierwright"

#: Folders that hold what the package manager downloads, per family of distributions. Each gets a nameless volume
#: that lives as long as the build container: their content never reaches the layer.
SCRATCH = {"debian": ("/var/cache/apt", "/var/lib/apt/lists")}


def host_config(family: str | None, mounts: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Keyword arguments for the SDK's ``create_host_config``.

    Args:
        family: Family of the distribution inside (``"debian"``), ``None`` where it is not known.
        mounts: What is mounted besides, as the Engine API writes it.
    """
    scratch = [{"Type": "volume", "Target": path} for path in SCRATCH.get(family or "", ())]
    return {
        "cap_drop": ["ALL"],
        "cap_add": list(CAPABILITIES),
        "security_opt": ["no-new-privileges"],
        "pids_limit": PIDS_LIMIT,
        "mounts": [*scratch, *mounts],
        "tmpfs": {REMOTE_TMP: "exec,mode=1777"},
        "privileged": False,
    }
