# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs in the sandbox for tests of other teams. It imports the standard library, pytest and testinfra only."""
