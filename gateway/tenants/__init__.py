"""Tenants: what one may use, and what it uses."""
