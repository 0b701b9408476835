"""Whether a judge and the model that it judges are of one family: such judges favour their own (fairness rule 6).

Source: Panickssery et al. 2024, "LLM Evaluators Recognize and Favor Their Own Generations", arXiv 2404.13076. The
family is read from the name, which is all that an endpoint tells.
"""

from __future__ import annotations

import re

# The name under which each family's models are published; the longer name first where one holds another.
FAMILIES = (
    "smollm", "tinyllama", "codellama", "llama", "mixtral", "mistral", "ministral", "qwen", "qwq", "gemma", "gemini",
    "phi", "gpt", "claude", "deepseek", "falcon", "olmo", "granite", "yi", "glm", "internlm", "command", "nemotron",
    "vicuna", "stablelm", "bloom", "pythia", "exaone", "jamba", "hermes", "kimi", "grok", "minicpm", "baichuan", "dbrx",
)  # fmt: skip
# What is tuned from another is of its family.
_OF = {
    "tinyllama": "llama", "codellama": "llama", "vicuna": "llama", "nemotron": "llama", "hermes": "llama",
    "mixtral": "mistral", "ministral": "mistral", "qwq": "qwen", "gemini": "gemma",
}  # fmt: skip


def family_of(name: str) -> str | None:
    """The family that a model's name tells; None where it tells none."""
    # The owner before the slash may be another family's name ("deepseek-ai/…-Qwen-7B").
    words = re.findall(r"[a-z]+", name.rpartition("/")[2].lower())
    for family in FAMILIES:
        # Short names stand for themselves only: "yi" is in many words.
        if any(word == family or (len(family) > 3 and word.startswith(family)) for word in words):
            return _OF.get(family, family)
    return None


def same_family(judge: str, student: str) -> bool | None:
    """Whether both are of one family; None where a name does not tell, and the names differ."""
    if judge == student:
        return True
    families = family_of(judge), family_of(student)
    return None if None in families else families[0] == families[1]
