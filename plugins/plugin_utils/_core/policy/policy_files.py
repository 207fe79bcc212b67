# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names of the files of a policy."""

from __future__ import annotations

#: Name of the policy in the folder of an inventory.
NAME = "chain-policy.yml"
#: What is appended to its path to get that of its signature.
SUFFIX = ".sigstore.json"
