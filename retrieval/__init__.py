"""Chunks, dense and BM25 search, fusion."""
