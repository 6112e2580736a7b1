"""Other task queues on the same servers, in an environment of their own: what they do in the same run."""
