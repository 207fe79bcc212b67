"""Engines that this machine does not have, for tests: from the archive of Debian, in machines of their own.

``python -m engines`` (with ``tests`` in ``PYTHONPATH``) fetches and starts them by hand; ``pytest --engine NAME`` runs
tests with one.
"""
