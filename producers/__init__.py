"""Getting events onto the bus and off it: connections, topology, publisher, reader."""
