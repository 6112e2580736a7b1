"""The reflex layer at the edge: POST /process, what is screened before an event, what placeholders stand for."""
