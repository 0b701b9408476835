"""Training sets, QLoRA, adapters."""
