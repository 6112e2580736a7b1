"""The live state of agents: who is here, how busy, how it fares. Kept in Redis, rebuilt from Postgres."""
