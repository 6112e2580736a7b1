"""HTTP itself: connections, bodies in, answers and problems out, headers, and what routes say of themselves."""
