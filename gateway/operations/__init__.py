"""For those who run it: health, readiness, what a checkup finds, and dead letters."""
