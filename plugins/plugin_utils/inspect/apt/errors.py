# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why something of an archive is not used. Users read these as parts of an answer, not as its failure."""

from __future__ import annotations


class NotReadError(Exception):
    """An archive does not answer, or its answer cannot be used."""
