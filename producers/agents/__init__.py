"""The parts of an outside agent: its registration, its line to Ganglion, what it is given and what it may say."""
