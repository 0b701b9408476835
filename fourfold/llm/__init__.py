"""The language-model port and its engines."""
