"""Retrieve, fine-tune, both or neither: one fair experiment on your own PDFs."""

from __future__ import annotations

__version__ = "0.1.0"
