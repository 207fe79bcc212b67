# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs in the build container: the standard library of Python 3.8 and later, and nothing else.

It is sent there as an archive under the name ``tierwright_agent``, so its modules import each other only.
"""
