"""Rooms as other servers read them: who may ask, what they may see, and the graph in few queries."""
