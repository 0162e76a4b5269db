"""Tables of devices' and users' keys: identity keys, keys to be handed out, signatures, and whose have changed."""
