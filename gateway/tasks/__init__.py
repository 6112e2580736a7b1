"""Tasks over HTTP: submit, look, change their course."""
