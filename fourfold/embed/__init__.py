"""The embedding port and its engines."""
