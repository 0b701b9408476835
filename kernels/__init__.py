"""Fused attention and loss for tuning, with their eager references.

Empty until the kernels are built: tuning uses PyTorch's own scaled-dot-product attention. Import it as
`fourfold.kernels`; a package named `kernels` is another project's, which transformers and bitsandbytes look for.
"""
