# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs in build containers on the mounted Python: the standard library of 3.8 and later, and nothing else."""
