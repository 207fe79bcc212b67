# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the agent starts: settings in, a server out."""

from __future__ import annotations

import gc
import os
import shutil
import sys

from . import ahead
from .server import Server


def main(folder: str, archive: str, door: str, user: str) -> None:
    """Run the agent on standard input and output until standard input ends.

    Args:
        folder: The agent's own folder, removed at the end.
        archive: Path of the archive in it that this code came in, with Ansible's ``module_utils``.
        door: Path of the socket through which the one to serve at is handed over; empty for none.
        user: Whom commands run as that name no user; empty for the agent's own.
    """
    try:
        imported = ahead.import_ahead(archive)
        server = Server(user)
        refused = server.take_door(door) if door else "not asked for"
        gc.collect()
        gc.freeze()
        about = {"pid": os.getpid(), "python": sys.executable, "modules": imported, "no_socket": refused}
        reader, writer = os.dup(0), os.dup(1)
        # What a command forgets to redirect must not get into the stream.
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.close(nothing)
        server.serve_stream(reader, writer, about)
        server.run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
