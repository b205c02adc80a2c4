"""Sealed linkage beside clear-text Splink, hashed match keys and CLKs, on the very same records.

`python -m benchmarks.accuracy --help` says how to run it; docs/benchmarks.md is what it writes.
"""
