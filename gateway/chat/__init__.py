"""Conversations over HTTP: a turn is posted and answered, streamed if asked for, and what was said can be read."""
