"""Ganglion on one machine: real servers out of wheels, and the processes that use them."""
