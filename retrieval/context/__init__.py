"""From the chunks found to the passages that a prompt shows, one step a file."""
