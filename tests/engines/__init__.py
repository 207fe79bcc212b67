"""Engines that this machine does not have, for tests. They come from Debian's archive, and run on separate machines.

``python -m engines`` (with ``tests`` in ``PYTHONPATH``) downloads and starts them manually. ``pytest --engine NAME``
runs tests with one of them.
"""
