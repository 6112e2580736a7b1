"""How fast Ganglion is, next to the raw floor of the same servers in the same run."""
