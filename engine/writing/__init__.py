"""Specification files written from a request and a draft by rules alone: pure, and the same each time."""
