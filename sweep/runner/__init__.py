"""Joins study, execution and store. No maths, no printing."""

from sweep.runner.confirmation import train_confirmation
from sweep.runner.reproduction import Reproduction, reproduce
from sweep.runner.sweeps import resume, run

__all__ = ["Reproduction", "reproduce", "resume", "run", "train_confirmation"]
