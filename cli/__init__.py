"""The `ganglion` command: a client of the gateway, and the operations of a local stack."""
