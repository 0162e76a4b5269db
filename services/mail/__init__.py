"""Mail: what is written in our name, and how it is handed to the mail server."""
