"""What the Matrix specification says about events, as data and pure functions."""
