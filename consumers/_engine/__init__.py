"""The way to a spec engine, ours or another one of the same contract: settings, errors, answers, client."""
