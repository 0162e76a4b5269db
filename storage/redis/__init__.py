"""What processes tell each other without storing it, each with an in-process twin."""
