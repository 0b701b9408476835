"""Rotary position embedding of queries and keys in one pass."""

from fourfold.kernels.rope.op import rope

__all__ = ["rope"]
