"""What may be uploaded: what a file is, and whether that is let in."""
