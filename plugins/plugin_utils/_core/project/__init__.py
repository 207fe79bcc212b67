# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Projects of users: the files that ``init`` writes, and the tiers that ``new tier`` adds."""
