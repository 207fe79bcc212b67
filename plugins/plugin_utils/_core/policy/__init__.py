# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policy of a chain: who may sign what, and whether an image keeps to it. Only files are read; nothing is asked."""
