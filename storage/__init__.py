"""PostgreSQL, Redis and blobs: what is kept, and how it is read and written."""
