"""Fused attention and loss for tuning, with their eager references.

Import it as `fourfold.kernels`: a package named `kernels` is another project's, for which transformers and bitsandbytes
look.
"""
