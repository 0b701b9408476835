"""A tuned adapter in the forms that others read: merged weights, GGUF for llama.cpp, a model card."""
