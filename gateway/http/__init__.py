"""HTTP itself: the server, bodies in, answers and problems out, headers, and the OpenAPI document."""
