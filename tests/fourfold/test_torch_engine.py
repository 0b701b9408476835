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
from fourfold.llm.decode import Written, decode
from fourfold.llm.load import load_base
from fourfold.llm.port import Adapter, Chat, Message, Prompt, RawCompletion, Sampling
from fourfold.llm.quiet import quiet_transformers
from fourfold.llm.torch_engine import TorchEngine
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
    return engine.complete(engine.prepare(CHATS), Sampling(max_tokens=MAX_TOKENS), None)


def make_adapter(weights: Weights, folder: Path, *, seed: int, **settings: Any) -> Adapter:
    """A LoRA adapter whose B matrices are random."""
    with torch.random.fork_rng(), quiet_transformers():
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(seed)
        config = LoraConfig(
            r=4,
            lora_alpha=32,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
            init_lora_weights=False,
            **settings,
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
    found = other.complete(other.prepare(CHATS), Sampling(max_tokens=MAX_TOKENS), None)
    ended = found[answers.index(longest)]
    assert (ended.token_ids, ended.finish_reason) == (longest.token_ids[:length], "stop")
    assert ended.logprobs == pytest.approx(longest.logprobs[:length], abs=1e-5)
    for before, after in zip(answers, found, strict=True):
        assert after.finish_reason == ("stop" if end in before.token_ids else before.finish_reason)
    assert {answer.finish_reason for answer in found} == {"stop", "length"}


def test_an_end_at_the_last_token_allowed_is_a_stop(lively: Weights, engine: TorchEngine) -> None:
    (first,) = engine.complete(engine.prepare(CHATS[:1]), Sampling(max_tokens=1), None)
    assert first.finish_reason == "length"
    ending = engine_of(lively)
    ending.load()
    ending._end_ids = frozenset(first.token_ids)
    (found,) = ending.complete(ending.prepare(CHATS[:1]), Sampling(max_tokens=1), None)
    assert (found.token_ids, found.finish_reason) == (first.token_ids, "stop")


def test_a_models_own_decoding_habits_are_left_out(
    lively: Weights, answers: list[RawCompletion], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    habits = {"repetition_penalty": 9.0, "do_sample": True, "temperature": 2.0, "top_p": 0.5, "no_repeat_ngram_size": 1}
    other = engine_of(changed(lively, tmp_path / "m", generation_config=lambda c: c.update(habits)))
    found = other.complete(other.prepare(CHATS), Sampling(max_tokens=MAX_TOKENS), None)
    assert [answer.token_ids for answer in found] == [answer.token_ids for answer in answers]
    assert capfd.readouterr() == ("", "")


def test_a_stream_is_the_answer_in_parts(engine: TorchEngine, lively: Weights, tmp_path: Path) -> None:
    adapter = make_adapter(lively, tmp_path / "a", seed=1)
    for tuned in (None, adapter):
        for prompt in engine.prepare(CHATS):
            parts = list(engine.stream(prompt, Sampling(max_tokens=MAX_TOKENS), tuned))
            (whole,) = engine.complete([prompt], Sampling(max_tokens=MAX_TOKENS), tuned)
            assert "".join(parts) == whole.text
            assert len(parts) > 1
            assert all(parts)


def test_between_two_parts_of_a_stream_others_are_answered(
    engine: TorchEngine, answers: list[RawCompletion], lively: Weights, tmp_path: Path
) -> None:
    adapter = make_adapter(lively, tmp_path / "a", seed=1)
    first, second = engine.prepare(CHATS)[:2]
    parts = engine.stream(first, Sampling(max_tokens=MAX_TOKENS), None)
    begun = next(parts)
    engine.complete([second], Sampling(max_tokens=2), adapter)
    assert begun + "".join(parts) == answers[0].text
    assert not torch.is_inference_mode_enabled()


def test_a_stream_ends_with_its_end_token_and_shows_no_half_of_a_character(lively: Weights) -> None:
    engine = engine_of(lively)
    (prompt,) = engine.prepare(CHATS[:1])
    (whole,) = engine.complete([prompt], Sampling(max_tokens=MAX_TOKENS), None)
    assert whole.token_ids is not None
    engine._end_ids = frozenset({whole.token_ids[4]})  # one that the random model writes
    (short,) = engine.complete([prompt], Sampling(max_tokens=MAX_TOKENS), None)
    assert "".join(engine.stream(prompt, Sampling(max_tokens=MAX_TOKENS), None)) == short.text
    texts = {1: "a", 2: "a\ufffd", 3: "a\u00e9", 4: "a\u00e9 ", 5: "a\u00e9 b"}
    engine._end_ids = frozenset()
    engine.tokenizer.decode = lambda ids, **_: texts[len(ids)]
    assert list(engine.stream(prompt, Sampling(max_tokens=5), None)) == ["a", "\u00e9", " b"]


def test_an_adapter_changes_the_answers_and_the_base_answers_as_before(
    lively: Weights, answers: list[RawCompletion], tmp_path: Path
) -> None:
    engine, sampling = engine_of(lively), Sampling(max_tokens=MAX_TOKENS)
    prompts = engine.prepare(CHATS)
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
    (found,) = engine.complete([Prompt(token_ids=prompt)], Sampling(max_tokens=MAX_TOKENS), adapter)
    assert found.token_ids == tuple(alone[0, len(prompt) :].tolist())


def test_a_batch_with_an_adapter_is_answered_as_peft_answers_one_by_one(lively: Weights, tmp_path: Path) -> None:
    engine = engine_of(lively)
    adapter = make_adapter(lively, tmp_path / "a", seed=4)
    # CHATS and as many over one long beginning, so that there are rows of both kinds.
    prompts = engine.prepare([*CHATS, *(chat("the boiler " * 20 + question) for question in QUESTIONS)])
    with quiet_transformers():
        from peft import PeftModel

        model = PeftModel.from_pretrained(load_base(lively, PLAIN, device="cpu"), adapter.folder).eval()
    found = engine.complete(prompts, Sampling(max_tokens=MAX_TOKENS), adapter)
    for prompt, answer in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt.token_ids])
        alone = model.generate(input_ids=ids, max_new_tokens=MAX_TOKENS, do_sample=False)
        assert answer.token_ids == tuple(alone[0, ids.shape[1] :].tolist())


def generated(weights: Weights, prompt: Prompt) -> tuple[int, ...]:
    ids = torch.tensor([prompt.token_ids])
    alone = load_base(weights, PLAIN, device="cpu").generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=MAX_TOKENS, do_sample=False
    )
    return tuple(alone[0, ids.shape[1] :].tolist())


def test_a_model_that_cannot_be_honoured_is_answered_by_transformers_and_named_so_once(
    lively: Weights, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with quiet_transformers(), torch.random.fork_rng():
        from transformers import GPT2Config, GPT2LMHeadModel

        torch.manual_seed(0)
        config = GPT2Config(vocab_size=400, n_embd=16, n_layer=1, n_head=2, n_positions=512, initializer_range=0.3)
        weights = changed(lively, tmp_path / "m")
        GPT2LMHeadModel(config).save_pretrained(weights.folder)
    engine = engine_of(weights)
    assert engine.identity["engine"] != engine_of(lively).identity["engine"]
    prompts = engine.prepare(CHATS)
    for _ in range(2):
        found = engine.complete(prompts, Sampling(max_tokens=MAX_TOKENS), None)
        # GPT-2's positions are learned: padding on the left is not free of rounding, but of anything else.
        assert [answer.token_ids for answer in found] == [generated(weights, prompt) for prompt in prompts]
    said = [record.getMessage() for record in caplog.records if "generate" in record.getMessage()]
    assert len(said) == 1
    assert "gpt2" in said[0]
    assert list(engine.stream(prompts[0], Sampling(max_tokens=MAX_TOKENS), None)) == [found[0].text]
    (scored,) = engine.score(prompts[:1], [["yes"]], None)
    assert len(scored[0].logprobs) == len(scored[0].token_ids) > 0


def test_rows_longer_than_a_sliding_window_are_answered_by_transformers(lively: Weights, tmp_path: Path) -> None:
    def make_mistral(config: dict[str, Any]) -> None:
        config.update(model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=60)

    weights = changed(lively, tmp_path / "m", config=make_mistral)
    engine = engine_of(weights)
    prompts = engine.prepare(CHATS)
    lengths = [prompt.n_tokens or 0 for prompt in prompts]
    assert min(lengths) + MAX_TOKENS <= 60 < max(lengths)
    found = engine.complete(prompts, Sampling(max_tokens=MAX_TOKENS), None)
    assert [answer.token_ids for answer in found] == [generated(weights, prompt) for prompt in prompts]
    assert engine.identity["engine"] == engine_of(lively).identity["engine"]


def test_a_batch_too_large_for_memory_is_answered_in_halves(
    engine: TorchEngine, answers: list[RawCompletion], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def limited(model: object, rows: list[tuple[int, ...]], **settings: Any) -> list[Written]:
        sizes.append(len(rows))
        if len(rows) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return decode(model, rows, **settings)

    monkeypatch.setattr("fourfold.llm.decode.decode", limited)
    found = engine.complete(engine.prepare(CHATS), Sampling(max_tokens=MAX_TOKENS), None)
    assert [answer.token_ids for answer in found] == [answer.token_ids for answer in answers]
    assert sizes == [5, 3, 2, 1, 2]


CONTINUATIONS = [["yes", "no", "the valve closes at noon"], [], ["", "ü 🚀"], ["the pump"], ["3"]]


@pytest.mark.parametrize("with_adapter", [False, True])
def test_scores_are_those_of_one_forward_pass(lively: Weights, tmp_path: Path, *, with_adapter: bool) -> None:
    engine = engine_of(lively)
    adapter = make_adapter(lively, tmp_path / "a", seed=5) if with_adapter else None
    prompts = engine.prepare(CHATS)
    found = engine.score(prompts, CONTINUATIONS, adapter)
    model = load_base(lively, PLAIN, device="cpu")
    if adapter is not None:
        with quiet_transformers():
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter.folder).eval()
    assert [len(of_prompt) for of_prompt in found] == [len(texts) for texts in CONTINUATIONS]
    for prompt, texts, of_prompt in zip(prompts, CONTINUATIONS, found, strict=True):
        for text, scored in zip(texts, of_prompt, strict=True):
            assert engine.tokenizer.decode(scored.token_ids) == text
            ids = torch.tensor([[*(prompt.token_ids or ()), *scored.token_ids]])
            with torch.inference_mode():
                logits = model(input_ids=ids).logits[0, (prompt.n_tokens or 0) - 1 : -1]
            expected = logits.double().log_softmax(1)[range(len(scored.token_ids)), scored.token_ids]
            torch.testing.assert_close(torch.tensor(scored.logprobs).double(), expected, rtol=1e-5, atol=1e-5)


def test_spans_say_which_characters_a_token_stands_for(engine: TorchEngine) -> None:
    text = "the valve closes, ü"
    ((scored,),) = engine.score(engine.prepare(CHATS[:1]), [[text]], None)
    assert len(scored.spans) == len(scored.token_ids) == len(scored.logprobs)
    assert (scored.spans[0][0], scored.spans[-1][1]) == (0, len(text))
    for token, (start, end) in zip(scored.token_ids, scored.spans, strict=True):
        if text[start:end].isascii():
            assert engine.tokenizer.decode([token]) == text[start:end]


@pytest.mark.parametrize("settings", [{"use_rslora": True}, {"use_dora": True}, {"rank_pattern": {"q_proj": 2}}])
def test_other_kinds_of_lora_answer_as_peft_does_and_beside_plain_ones(
    lively: Weights, tmp_path: Path, settings: dict[str, Any]
) -> None:
    engine, sampling = engine_of(lively), Sampling(max_tokens=MAX_TOKENS)
    prompts = engine.prepare(CHATS)
    plain = make_adapter(lively, tmp_path / "plain", seed=6)
    other = make_adapter(lively, tmp_path / "other", seed=7, **settings)
    base, by_plain = engine.complete(prompts, sampling, None), engine.complete(prompts, sampling, plain)
    found = engine.complete(prompts, sampling, other)
    assert engine.complete(prompts, sampling, plain) == by_plain
    assert engine.complete(prompts, sampling, None) == base
    with quiet_transformers():
        from peft import PeftModel

        model = PeftModel.from_pretrained(load_base(lively, PLAIN, device="cpu"), other.folder).eval()
    for prompt, answer in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt.token_ids])
        alone = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=MAX_TOKENS, do_sample=False
        )
        assert answer.token_ids == tuple(alone[0, ids.shape[1] :].tolist())
    assert found != base


def test_an_adapter_of_another_model_or_of_none_is_refused(lively: Weights, tmp_path: Path) -> None:
    adapter = make_adapter(lively, tmp_path / "a", seed=1)
    config = json.loads((adapter.folder / "adapter_config.json").read_text(encoding="utf-8"))
    (adapter.folder / "adapter_config.json").write_text(json.dumps({**config, "r": 8}), encoding="utf-8")
    for folder in (adapter.folder, tmp_path / "none"):
        engine = engine_of(lively)
        with pytest.raises(ModelError, match="the adapter cannot be loaded"):
            engine.complete(engine.prepare(CHATS[:1]), Sampling(max_tokens=1), Adapter(folder=folder, digest="d"))


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
