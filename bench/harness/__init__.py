"""Starts contestants, runs them in turn and makes the table."""
