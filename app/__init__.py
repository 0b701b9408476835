"""Command line and composition: the only folder that knows all the others."""
