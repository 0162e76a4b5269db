"""The PostgreSQL that comes with us: found in a wheel, started, supervised and stopped by our own code."""
