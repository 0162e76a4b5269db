"""Full-text search without a database: how text becomes words, and what a search term asks for."""
