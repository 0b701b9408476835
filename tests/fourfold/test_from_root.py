"""The folder `kernels` at the root shares its name with a hub package that other libraries look for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_at_root(code: str) -> subprocess.CompletedProcess[str]:
    # With -c the working folder stands first on sys.path.
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_libraries_import_beside_our_folders_and_do_not_take_them_for_their_own() -> None:
    done = run_at_root(f"""
import kernels, pathlib
assert pathlib.Path(kernels.__file__).parent == pathlib.Path({str(ROOT / "kernels")!r}), kernels.__file__
from fourfold.llm.quiet import quiet_transformers
with quiet_transformers():
    import bitsandbytes, peft, transformers
from transformers.utils import is_kernels_available
assert not is_kernels_available()
from transformers.integrations import hub_kernels
assert not hasattr(hub_kernels, "get_kernel_hub")
from bitsandbytes.backends.cpu import ops
assert getattr(ops, "gemm_4bit_forward_kernel", None) is None
import bitsandbytes.functional, torch
weight = torch.linspace(-1, 1, 128).reshape(2, 64)
rounded = bitsandbytes.functional.dequantize_4bit(*bitsandbytes.functional.quantize_4bit(weight, quant_type="nf4"))
assert (rounded - weight).abs().max() < .2
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
