"""The keeper: folds the log into Postgres, exactly once and in order, and announces the states (DESIGN 4)."""
