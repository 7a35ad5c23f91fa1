"""Joins study, execution and store. No maths, no printing.

Nothing is imported here: the command line needs the defaults of `options` to show its help.
"""
