"""Keeps libraries from writing progress bars and known, harmless complaints to stderr."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and nothing under an error from transformers; no word from bitsandbytes' hub kernels.

    On CPUs with AVX512-BF16 bitsandbytes asks for a hub kernel that is not needed here and warns without it.
    """
    import transformers

    bitsandbytes = logging.getLogger("bitsandbytes")
    before = transformers.logging.get_verbosity(), bitsandbytes.level
    had_bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    bitsandbytes.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # transformers 5.23 and PEFT 0.21 warn of each other's names.
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
            yield
    finally:
        transformers.logging.set_verbosity(before[0])
        if had_bars:
            transformers.logging.enable_progress_bar()
        bitsandbytes.setLevel(before[1])
