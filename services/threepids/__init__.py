"""Third-party identifiers (3PIDs): addresses of users outside of Matrix."""
