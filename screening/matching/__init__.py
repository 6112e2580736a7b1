"""Many patterns in linear time: which rules can match where, told before any of them is run."""
