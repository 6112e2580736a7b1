"""The way in and the live way out: HTTP, WebSocket and SSE. No business rule, no SQL, no writing to the database."""
