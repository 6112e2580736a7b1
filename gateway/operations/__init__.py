"""For those who run it: health, readiness, dead letters, and how full and how far behind the log is."""
