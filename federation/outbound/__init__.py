"""What we tell other servers: a follower of the journal, and a sender that delivers to each of them in order."""
