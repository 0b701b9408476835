"""The results of a working folder in a browser: one page, read from the store."""
