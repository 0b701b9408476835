"""Whether an answer's sentences stand in the passages it was given: by word overlap, likelihood or a cross-encoder."""
