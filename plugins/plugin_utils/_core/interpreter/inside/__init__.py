# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Code for the mounted Python in build containers. It uses only the standard library of Python 3.8 and later."""
