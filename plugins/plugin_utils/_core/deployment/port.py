# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks whether a port of this machine is free, before something is started that needs it."""

from __future__ import annotations

import errno
import socket

from ..errors import EngineError


def check_port(address: str, port: int) -> None:
    """Check that nothing listens on a port. On another machine, that cannot be seen from here.

    Args:
        address: The address of the engine that will listen on it.
        port: The port.

    Raises:
        EngineError: Something listens on it.
    """
    if not address.startswith("unix://"):
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return  # a port that only root may use; the engine may
            raise EngineError(
                f"port {port} of this machine is in use, so the site cannot be published there; `ss -tlnp` says by "
                "whom. End that program, or set deploy_port to a different port"
            ) from error
