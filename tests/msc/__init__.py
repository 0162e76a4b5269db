"""What is served beside the specification: one file for each proposal (MSC)."""
