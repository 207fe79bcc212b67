# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The library. All of it is private: plugins, command and fixtures are the interface."""

from .byte_code import cache_byte_code

cache_byte_code(__name__, __spec__.loader)
