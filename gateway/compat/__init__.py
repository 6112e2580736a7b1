"""Sockets in the words of the documents that asked for them: each is a subscription to a room and a dialect."""
