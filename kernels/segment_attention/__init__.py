"""Attention over a segment table: packed documents, shared contexts and trees, without a mask."""

from fourfold.kernels.segment_attention.op import Implementation, segment_attention
from fourfold.kernels.segment_attention.table import SegmentTable, make_table

__all__ = ["Implementation", "SegmentTable", "make_table", "segment_attention"]
