"""Chaos: random faults under load, and a checker that believes only the clients and the final database."""
