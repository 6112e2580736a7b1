"""Running Ganglion: the local stack, the image, the one-shot provisioning."""
