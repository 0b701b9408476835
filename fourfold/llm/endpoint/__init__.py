"""Any OpenAI-compatible server as an engine: vLLM, Ollama, llama.cpp's server, a hosted API."""
