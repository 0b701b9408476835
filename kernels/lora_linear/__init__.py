"""LoRA on resident weights: the linear layers that read one input are one operation."""

from fourfold.kernels.lora_linear.group import LoraGroup, adapt
from fourfold.kernels.lora_linear.op import lora_linear
from fourfold.kernels.lora_linear.peft_format import adapter_state, load_adapter_state, save_adapter

__all__ = ["LoraGroup", "adapt", "adapter_state", "load_adapter_state", "lora_linear", "save_adapter"]
