"""PDF → pages, blocks; questions and their checks."""
