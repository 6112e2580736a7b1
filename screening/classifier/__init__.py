"""The linear classifier beside the rules, and what it reads of a text."""
