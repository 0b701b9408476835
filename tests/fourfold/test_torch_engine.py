"""On a tiny random model in float32, against transformers and PEFT themselves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny import make_tiny_model

from fourfold.errors import ModelError
from fourfold.llm.port import Adapter, Chat, Message, RawCompletion, Sampling
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.torch_engine import TorchEngine, load_base
from fourfold.llm.weights import Weights, find_language_model
from fourfold.study import ModelSettings

PLAIN = ModelSettings(dtype="float32", quantisation="none")
MAX_TOKENS = 12
QUESTIONS = ("Which valve closes at noon?", "Pump?", "x", "Section: the operator must check the gauge " * 6, "ü 🚀")


def chat(question: str) -> Chat:
    return (Message(role="system", content="Answer in one sentence."), Message(role="user", content=question))


CHATS = [chat(question) for question in QUESTIONS]


def engine_of(weights: Weights, settings: ModelSettings = PLAIN) -> TorchEngine:
    return TorchEngine(weights, settings, device="cpu")


@pytest.fixture(scope="module")
def lively(tiny: Weights, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """The tiny model with larger weights: its answers vary, where the small ones repeat one token."""
    folder = tmp_path_factory.mktemp("lively") / "model"
    shutil.copytree(tiny.folder, folder)
    model = load_base(tiny, PLAIN, device="cpu")
    with torch.no_grad(), quiet_transformers():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(12)
        model.save_pretrained(folder)
    return find_language_model(str(folder), folder)


@pytest.fixture(scope="module")
def engine(lively: Weights) -> TorchEngine:
    return engine_of(lively)


@pytest.fixture(scope="module")
def answers(engine: TorchEngine) -> list[RawCompletion]:
    return engine.complete(engine.encode(CHATS), Sampling(max_tokens=MAX_TOKENS), None)


def make_adapter(weights: Weights, folder: Path, *, seed: int) -> Adapter:
    """A LoRA adapter whose B matrices are random."""
    with torch.random.fork_rng(), quiet_transformers():
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(seed)
        config = LoraConfig(
            r=4, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
        )
        get_peft_model(load_base(weights, PLAIN, device="cpu"), config).save_pretrained(
            folder, save_embedding_layers=False
        )
    return Adapter(folder=folder, digest=f"{seed:064x}"[::-1])


def changed(weights: Weights, folder: Path, **files: Callable[[dict[str, Any]], object]) -> Weights:
    """A copy of a model with changed JSON files."""
    shutil.copytree(weights.folder, folder)
    for name, change in files.items():
        path = folder / f"{name}.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")
    return find_language_model(str(folder), folder)


def test_batched_answers_are_those_of_transformers_one_by_one(
    engine: TorchEngine, lively: Weights, answers: list[RawCompletion]
) -> None:
    with quiet_transformers():
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(lively.folder, dtype=torch.float32).eval()
    for prompt, answer in zip(engine.encode(CHATS), answers, strict=True):
        alone = model.generate(torch.tensor([prompt]), max_new_tokens=MAX_TOKENS, do_sample=False)
        assert answer.token_ids == tuple(alone[0, len(prompt) :].tolist())
    assert len({answer.token_ids for answer in answers}) == len(answers)
    assert max(len(set(answer.token_ids)) for answer in answers) > 2


def test_log_probabilities_are_those_of_one_forward_pass(engine: TorchEngine, answers: list[RawCompletion]) -> None:
    for prompt, answer in zip(engine.encode(CHATS), answers, strict=True):
        ids = torch.tensor([prompt + answer.token_ids])
        with torch.inference_mode():
            logits = engine.load()(ids).logits[0, len(prompt) - 1 : -1]
        chosen = torch.tensor(answer.token_ids)
        expected = logits.double().log_softmax(dim=1).gather(1, chosen[:, None]).squeeze(1)
        torch.testing.assert_close(torch.tensor(answer.logprobs).double(), expected, rtol=1e-4, atol=1e-4)
        assert len(answer.logprobs) == len(answer.token_ids)


def test_an_answer_without_an_end_stops_for_its_length(engine: TorchEngine, answers: list[RawCompletion]) -> None:
    endless = [answer for answer in answers if engine.tokenizer.eos_token_id not in answer.token_ids]
    assert endless
    assert {(answer.finish_reason, len(answer.token_ids)) for answer in endless} == {("length", MAX_TOKENS)}


def test_an_answer_ends_at_any_end_token_of_the_model_which_counts(
    lively: Weights, answers: list[RawCompletion], tmp_path: Path
) -> None:
    # As Gemma's and Llama 3's: the end of a turn is not the tokenizer's end of text.
    longest = max(answers, key=lambda answer: len(set(answer.token_ids)))
    end = longest.token_ids[4]
    length = longest.token_ids.index(end) + 1
    other = engine_of(
        changed(lively, tmp_path / "m", generation_config=lambda c: c.update(eos_token_id=[c["eos_token_id"], end]))
    )
    found = other.complete(other.encode(CHATS), Sampling(max_tokens=MAX_TOKENS), None)
    ended = found[answers.index(longest)]
    assert (ended.token_ids, ended.finish_reason) == (longest.token_ids[:length], "stop")
    assert ended.logprobs == pytest.approx(longest.logprobs[:length], abs=1e-5)
    for before, after in zip(answers, found, strict=True):
        assert after.finish_reason == ("stop" if end in before.token_ids else before.finish_reason)
    assert {answer.finish_reason for answer in found} == {"stop", "length"}


def test_an_end_at_the_last_token_allowed_is_a_stop(lively: Weights, engine: TorchEngine) -> None:
    (first,) = engine.complete(engine.encode(CHATS[:1]), Sampling(max_tokens=1), None)
    assert first.finish_reason == "length"
    ending = engine_of(lively)
    ending.load()
    ending._end_ids = frozenset(first.token_ids)
    (found,) = ending.complete(ending.encode(CHATS[:1]), Sampling(max_tokens=1), None)
    assert (found.token_ids, found.finish_reason) == (first.token_ids, "stop")


def test_a_models_own_decoding_habits_are_left_out(
    lively: Weights, answers: list[RawCompletion], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    habits = {"repetition_penalty": 9.0, "do_sample": True, "temperature": 2.0, "top_p": 0.5, "no_repeat_ngram_size": 1}
    other = engine_of(changed(lively, tmp_path / "m", generation_config=lambda c: c.update(habits)))
    found = other.complete(other.encode(CHATS), Sampling(max_tokens=MAX_TOKENS), None)
    assert [answer.token_ids for answer in found] == [answer.token_ids for answer in answers]
    assert capfd.readouterr() == ("", "")


def test_an_adapter_changes_the_answers_and_the_base_answers_as_before(
    lively: Weights, answers: list[RawCompletion], tmp_path: Path
) -> None:
    engine, sampling = engine_of(lively), Sampling(max_tokens=MAX_TOKENS)
    prompts = engine.encode(CHATS)
    one, two = (make_adapter(lively, tmp_path / str(seed), seed=seed) for seed in (1, 2))
    by_one = engine.complete(prompts, sampling, one)
    # To the last bit, or a base arm would depend on what was loaded before it.
    assert engine.complete(prompts, sampling, None) == answers
    by_two = engine.complete(prompts, sampling, two)
    assert engine.complete(prompts, sampling, one) == by_one
    assert engine.complete(prompts, sampling, None) == answers
    tokens = [[answer.token_ids for answer in found] for found in (answers, by_one, by_two)]
    assert tokens[0] != tokens[1] != tokens[2] != tokens[0]


def test_an_adapters_answers_are_pefts(lively: Weights, tmp_path: Path) -> None:
    engine = engine_of(lively)
    adapter = make_adapter(lively, tmp_path / "a", seed=3)
    prompt = engine.encode(CHATS[:1])[0]
    with quiet_transformers():
        from peft import PeftModel

        model = PeftModel.from_pretrained(load_base(lively, PLAIN, device="cpu"), adapter.folder).eval()
        alone = model.generate(input_ids=torch.tensor([prompt]), max_new_tokens=MAX_TOKENS, do_sample=False)
    (found,) = engine.complete([prompt], Sampling(max_tokens=MAX_TOKENS), adapter)
    assert found.token_ids == tuple(alone[0, len(prompt) :].tolist())


def test_an_adapter_of_another_model_or_of_none_is_refused(lively: Weights, tmp_path: Path) -> None:
    adapter = make_adapter(lively, tmp_path / "a", seed=1)
    config = json.loads((adapter.folder / "adapter_config.json").read_text(encoding="utf-8"))
    (adapter.folder / "adapter_config.json").write_text(json.dumps({**config, "r": 8}), encoding="utf-8")
    for folder in (adapter.folder, tmp_path / "none"):
        engine = engine_of(lively)
        with pytest.raises(ModelError, match="the adapter cannot be loaded"):
            engine.complete(engine.encode(CHATS[:1]), Sampling(max_tokens=1), Adapter(folder=folder, digest="d"))


def test_prompts_are_encoded_as_they_are_rendered(engine: TorchEngine) -> None:
    (prompt,) = engine.encode(CHATS[:1])
    text = engine.render(CHATS[0])
    assert text == (
        "<|im_start|>system\nAnswer in one sentence.<|im_end|>\n"
        "<|im_start|>user\nWhich valve closes at noon?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert engine.tokenizer.decode(prompt) == text
    assert prompt == tuple(engine.tokenizer.apply_chat_template(
        [{"role": message.role, "content": message.content} for message in CHATS[0]], add_generation_prompt=True
    )["input_ids"])  # fmt: skip
    assert engine.encode(CHATS) == [engine.encode([one])[0] for one in CHATS]
    assert engine.encode([]) == []


def test_a_prompt_of_any_length_is_encoded_whole_and_in_silence(
    engine: TorchEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    (prompt,) = engine.encode([chat("x " * 5000)])
    assert len(prompt) > 10_000
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("template", [None, ""])
def test_a_model_without_a_chat_template_is_refused(tmp_path: Path, template: str | None) -> None:
    weights = make_tiny_model(tmp_path / "m", chat_template=template)
    with pytest.raises(ModelError, match="cannot be used for chat") as error:
        engine_of(weights).encode(CHATS)
    assert "no chat template" in str(error.value.seen)
    assert "Instruct" in error.value.hint


def test_a_template_that_refuses_a_system_prompt_is_an_error_of_the_model(tmp_path: Path) -> None:
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}x"
    engine = engine_of(make_tiny_model(tmp_path / "m", chat_template=template))
    assert engine.render(CHATS[0][1:]) == "x"
    with pytest.raises(ModelError, match="refuses the prompt") as error:
        engine.encode(CHATS)
    assert "no system role" in str(error.value.seen)


def test_the_context_is_the_models(tiny: Weights, tmp_path: Path) -> None:
    assert engine_of(tiny).context_tokens == 2048

    def nest(config: dict[str, Any]) -> None:
        config["text_config"] = {"max_position_embeddings": config.pop("max_position_embeddings")}

    assert engine_of(changed(tiny, tmp_path / "nested", config=nest)).context_tokens == 2048
    nameless = changed(tiny, tmp_path / "nameless", config=lambda config: config.pop("max_position_embeddings"))
    with pytest.raises(ModelError, match="context length is unknown"):
        _ = engine_of(nameless).context_tokens


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        # transformers would fill the third layer with random numbers.
        ({"num_hidden_layers": 3}, "9 weight(s) are missing, model.layers.2.input_layernorm.weight among them"),
        ({"hidden_size": 64}, "mismatched"),
        ({"model_type": "unheard-of"}, "unheard-of"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "GPTQ"),
    ],
)
def test_weights_that_do_not_fit_their_configuration_are_refused(
    tiny: Weights, tmp_path: Path, setting: dict[str, object], says: str
) -> None:
    weights = changed(tiny, tmp_path / "m", config=lambda config: config.update(setting))
    with pytest.raises(ModelError, match="cannot be loaded") as error:
        load_base(weights, PLAIN, device="cpu")
    assert says in str(error.value.seen)


def test_a_file_of_weights_that_is_cut_short_is_refused(tiny: Weights, tmp_path: Path) -> None:
    weights = changed(tiny, tmp_path / "m")
    data = (weights.folder / "model.safetensors").read_bytes()
    (weights.folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(weights, PLAIN, device="cpu")


def test_a_tokenizer_that_cannot_be_read_is_refused(tiny: Weights, tmp_path: Path) -> None:
    weights = changed(tiny, tmp_path / "m", tokenizer=lambda content: content.clear())
    with pytest.raises(ModelError, match="cannot be loaded"):
        engine_of(weights).encode(CHATS)


def test_weights_are_loaded_in_the_dtype_asked_for(tiny: Weights) -> None:
    model = load_base(tiny, ModelSettings(dtype="bfloat16", quantisation="none"), device="cpu")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert not model.training


def test_nf4_rounds_all_linear_layers_but_the_head(tiny: Weights) -> None:
    plain = load_base(tiny, PLAIN, device="cpu").state_dict()
    rounded = load_base(tiny, ModelSettings(dtype="float32", quantisation="nf4"), device="cpu").state_dict()
    moved = {name for name, value in rounded.items() if not torch.equal(value, plain[name])}
    assert moved == {name for name in plain if ".self_attn." in name or ".mlp." in name}
    assert len(moved) == 2 * 7


def test_a_model_without_linear_layers_cannot_be_rounded(tiny: Weights, tmp_path: Path) -> None:
    with quiet_transformers():
        from transformers import GPT2Config, GPT2LMHeadModel

        # GPT-2 keeps its weights in Conv1D modules.
        config = GPT2Config(vocab_size=400, n_embd=8, n_layer=1, n_head=1, n_positions=32)
        weights = changed(tiny, tmp_path / "m")
        GPT2LMHeadModel(config).save_pretrained(weights.folder)
    assert engine_of(weights).context_tokens == 32
    load_base(weights, PLAIN, device="cpu")
    with pytest.raises(ModelError, match="cannot be rounded to NF4"):
        load_base(weights, ModelSettings(dtype="float32", quantisation="nf4"), device="cpu")


def test_the_identity_depends_on_weights_quantisation_and_dtype(tiny: Weights, lively: Weights) -> None:
    identities = [
        engine_of(tiny).identity,
        engine_of(lively).identity,
        engine_of(tiny, ModelSettings(dtype="bfloat16", quantisation="none")).identity,
        engine_of(tiny, ModelSettings(dtype="float32", quantisation="nf4")).identity,
    ]
    assert len({tuple(sorted(identity.items())) for identity in identities}) == 4
    assert engine_of(tiny).identity == identities[0]


def test_libraries_are_as_loud_afterwards_as_before() -> None:
    from transformers import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with quiet_transformers():
        with quiet_transformers():
            assert not logging.is_progress_bar_enabled()
        assert not logging.is_progress_bar_enabled()
        assert logging.get_verbosity() == logging.ERROR
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (verbosity, bars)
