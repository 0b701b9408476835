"""A tiny random Llama with a chat template: real code paths, no knowledge, milliseconds."""

from __future__ import annotations

from pathlib import Path

from fourfold.llm.weights import Weights, find_language_model

_TEXT = (
    "Answer the question in one short sentence. If you do not know the answer, say: I don't know. "
    "Passages: Question: Section: Sentence: the pump runs at 40 litres per minute and the valve closes at noon "
    "system user assistant manual chapter boiler turbine reservoir gauge filter winter summer operator must check "
)
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tiny_model(
    folder: Path, *, chat_template: str | None = _TEMPLATE, seed: int = 0, spread: float = 0.02
) -> Weights:
    """Write a 2-layer random Llama with grouped-query attention and a byte-level tokenizer of 400 tokens.

    `spread` is the standard deviation of its weights: at 0.02 the tied head cannot give a logit above 0.7.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([_TEXT] * 4, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|pad|>", chat_template=chat_template
    )
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=spread,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return find_language_model(str(folder), folder)
