"""Agents over HTTP and at the door: register, look, ask who would take a task, and what outside agents state."""
