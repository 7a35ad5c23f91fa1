"""Starts contestants, lets them run in turn, and makes the table."""
