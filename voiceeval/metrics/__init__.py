"""What is scored of a call."""
