"""The assembly: configuration, command line, and the putting together of all parts."""
