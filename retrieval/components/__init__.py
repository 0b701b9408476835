"""The retrieval parts as llama-index components, one kind a file."""
