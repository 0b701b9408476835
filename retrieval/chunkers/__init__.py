"""Ways to cut documents into chunks, one a file."""
