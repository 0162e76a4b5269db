"""What other servers send us by themselves."""
