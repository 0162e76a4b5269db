"""The authorisation rules (§Authorisation rules of each room version)."""
