"""Programs that train the same networks on the same data, each in its own way.

Each runs in its own process (`python -m contestants.NAME`, with `bench/` on Python's path) and
exchanges lines on standard input and output, see `contestants.serving`.
"""
