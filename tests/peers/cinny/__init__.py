"""What people do in Cinny, a web client."""
