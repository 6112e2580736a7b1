"""The live way out: one hub reads the log, subscribers see their rooms over WebSocket and server-sent events."""
