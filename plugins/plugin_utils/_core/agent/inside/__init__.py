# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of the agent that runs in the build container. It needs only Python 3.8 or later, and its standard library.

It is sent there as an archive with the package name ``tierwright_agent``. Its modules may import only each other.
"""
