"""Benchmarks: what an operation costs this server, beside a ceiling or a peer measured in the same run."""
