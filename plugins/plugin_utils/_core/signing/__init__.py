# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signed statements: keys, in-toto statements, DSSE envelopes and Sigstore bundles."""
