"""The modules on a question's way: rewriter, trigger, memory, filter; each works without the others."""
