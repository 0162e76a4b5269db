"""The push gateway: takes notifications over HTTP and hands them to the platforms' push services."""
