"""Nothing acknowledged is lost: the server and its database are killed while people talk."""
