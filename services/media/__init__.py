"""Files of the content repository: their quotas, counters, lifetimes, and what events name."""
