"""What stands around a match and lowers it: the sentence, who is spoken to, the notation of a file."""
