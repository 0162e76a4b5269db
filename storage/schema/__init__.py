"""The schema of a tenant and the steps that lead to it."""
