"""Workflows, refinements and proposals over HTTP, under the paths of the document that asked for them."""
