"""Sessions over HTTP in the words of the second document (requirements 002.2): a session and its first task as one."""
