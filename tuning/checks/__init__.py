"""Checks of a tuned adapter, one a file: each gives plain numbers per item; statistics are made of them in evals."""
