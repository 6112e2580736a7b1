"""A text as it is read: character by character, and what is hidden in it uncovered."""
