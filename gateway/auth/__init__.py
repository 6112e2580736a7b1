"""Who is calling, over HTTP and over NATS, and how often it may."""
