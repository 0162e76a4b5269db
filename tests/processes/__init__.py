"""Several processes that serve one server name."""
