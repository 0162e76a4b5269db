"""Full-text search: the index, which follows the journal, and what people find by it."""
