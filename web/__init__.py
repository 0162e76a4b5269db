"""HTTP for the Matrix APIs: endpoints declared, routed, authenticated, limited and answered in one place."""
