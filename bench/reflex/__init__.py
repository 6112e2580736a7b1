"""What the reflex layer finds, misses and costs, beside Presidio's patterns and a plain reading of the first rules."""
