# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``python -m ansible_collections.tierwright.chain.plugins.plugin_utils._core.command``, for a clone."""

from __future__ import annotations

from .main import tierwright

tierwright(prog_name="tierwright")
