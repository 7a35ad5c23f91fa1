"""Programs that train the same networks on the same data, one for each way of doing it.

Each runs in a process of its own (`python -m contestants.NAME`, with `bench/` on Python's path)
and speaks lines on standard input and output, see `contestants.serving`.
"""
