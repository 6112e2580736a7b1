"""The built-in spec engine: a LangGraph graph behind the spec-engine HTTP and WebSocket contract."""
