"""The door for events from outside: over NATS and over HTTP, validated, stamped and answered alike (DESIGN 3)."""
