"""What pages of the web tell of themselves, for users who see a link."""
