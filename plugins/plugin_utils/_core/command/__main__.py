# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the command from a clone.

``python -m ansible_collections.tierwright.chain.plugins.plugin_utils._core.command``
"""

from __future__ import annotations

from .main import tierwright

tierwright(prog_name="tierwright")
