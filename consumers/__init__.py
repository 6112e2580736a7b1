"""Who reacts: one file or folder a consumer, a function from one event to a list of events (DESIGN rule 4)."""
