"""Cross-entropy of chosen positions under a frozen output head."""

from fourfold.kernels.span_cross_entropy.op import SpanLoss, span_cross_entropy
from fourfold.kernels.span_cross_entropy.targets import Span, SpanTargets, span_targets, span_weights

__all__ = ["Span", "SpanLoss", "SpanTargets", "span_cross_entropy", "span_targets", "span_weights"]
