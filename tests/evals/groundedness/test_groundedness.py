from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import fmean

import pytest
from support.openai_server import Asked, OpenAIServer, Reply, answer, listing
from support.tiny import make_tiny_model

from fourfold.errors import InputError, ModelError
from fourfold.evals.groundedness.cross_encoder import BestPassageScorer
from fourfold.evals.groundedness.likelihood import LikelihoodScorer
from fourfold.evals.groundedness.overlap import WordOverlap, words
from fourfold.evals.groundedness.rate import Claim, Rating, rate_groundedness
from fourfold.evals.groundedness.sentences import split_sentences
from fourfold.llm.endpoint.engine import EndpointEngine
from fourfold.llm.port import Message
from fourfold.llm.torch_engine import TorchEngine
from fourfold.study import EndpointSettings, ModelSettings

PASSAGES = ("The pump runs at 40 litres.", "The valve closes at noon.")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    """A tiny model whose weights are large enough for its opinions to differ."""
    weights = make_tiny_model(tmp_path_factory.mktemp("model") / "model", spread=0.5)
    return TorchEngine(weights, ModelSettings(dtype="float32", quantisation="none"), device="cpu")


class Lengths:
    """A cross-encoder that says how many words two texts share; keeps how often it was asked."""

    def __init__(self) -> None:
        self.n_calls = 0

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> Sequence[float]:
        self.n_calls += 1
        return [float(len(set(words(a)) & set(words(b)))) for a, b in pairs]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('It is 3.5 m. See Fig. 2, e.g. it! "Yes." End', ["It is 3.5 m.", "See Fig. 2, e.g. it!", '"Yes."', "End"]),
        ("1. One thing\n2. Two. Three", ["1. One thing", "2. Two.", "Three"]),
        ("It has 40. Then more.", ["It has 40.", "Then more."]),
        ("Dr. No met J. Smith. He left", ["Dr. No met J. Smith.", "He left"]),
        ("これは一つ。これは二つ！", ["これは一つ。", "これは二つ！"]),
        ("Это насос. Он старый.", ["Это насос.", "Он старый."]),
        ("", []),
        (" \n…\n--- ", []),
    ],
)  # fmt: skip
def test_sentences_end_at_stops_and_lines_only(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in split_sentences(text)] == expected


@pytest.mark.parametrize("text", ["a" * 100_000, ". " * 50_000, "A. b\n" * 20_000, "1.\n" * 33_000])
def test_100_000_characters_are_split_without_looking_back(text: str) -> None:
    assert sum(end - start for start, end in split_sentences(text)) <= len(text)


@pytest.mark.parametrize(
    ("sentence", "value"),
    [
        ("The pump runs.", 1.0),
        ("The pump closes daily now.", 0.6),
        ("Zebras!", 0.0),
    ],
)
def test_word_overlap_is_the_share_of_words_that_stand_in_a_passage(sentence: str, value: float) -> None:
    (rating,) = WordOverlap().rate([Claim(sentence=sentence, contexts=PASSAGES)])
    assert rating.value == pytest.approx(value)


def test_where_no_spaces_are_written_a_character_is_a_word() -> None:
    assert words("水は100度。Wasser") == ["水", "は", "100", "度", "wasser"]
    (rating,) = WordOverlap().rate([Claim(sentence="水は熱い", contexts=("水は冷たい",))])
    assert rating.value == pytest.approx(3 / 4)


def test_an_answer_is_as_grounded_as_its_worst_sentence() -> None:
    (found,) = rate_groundedness(["The pump runs. Zebras fly."], [PASSAGES], WordOverlap())
    assert (found.lowest, found.mean, found.reason) == (0.0, 0.5, None)
    assert [(one.start, one.end) for one in found.sentences] == [(0, 14), (15, 26)]


@pytest.mark.parametrize(
    ("answer", "contexts", "reason"),
    [
        (None, PASSAGES, "no answer"),
        ("", PASSAGES, "the answer has no sentence"),
        ("…", PASSAGES, "the answer has no sentence"),
        ("The pump runs.", (), "no passages"),
    ],
)
def test_what_cannot_be_rated_says_why(answer: str | None, contexts: tuple[str, ...], reason: str) -> None:
    (found,) = rate_groundedness([answer], [contexts], WordOverlap())
    assert (found.lowest, found.mean, found.reason, found.sentences) == (None, None, reason, ())


def test_a_sentence_without_a_rating_leaves_its_answer_without_one() -> None:
    class HalfBlind:
        def rate(self, claims: Sequence[Claim]) -> list[Rating]:
            return [Rating(value=1.0), *[Rating(value=None, reason="too long") for _ in claims[1:]]]

    (found,) = rate_groundedness(["One. Two."], [PASSAGES], HalfBlind())
    assert (found.lowest, found.reason, len(found.sentences)) == (None, "too long", 2)


def test_answers_and_passages_must_match() -> None:
    with pytest.raises(InputError, match="do not match"):
        rate_groundedness(["x"], [], WordOverlap())


def test_a_cross_encoder_is_asked_once_and_the_best_passage_counts() -> None:
    encoder = Lengths()
    claims = [
        Claim(sentence="The valve closes.", contexts=PASSAGES),
        Claim(sentence="x", contexts=()),
        Claim(sentence="The pump runs at 40.", contexts=PASSAGES[:1]),
    ]
    ratings = BestPassageScorer(encoder).rate(claims)
    assert [one.value for one in ratings] == [3.0, None, 5.0]
    assert ratings[1].reason == "no passages"
    assert encoder.n_calls == 1


def test_likelihood_is_what_the_passages_add_to_each_tokens_log_probability(engine: TorchEngine) -> None:
    claims = [Claim(sentence=text, contexts=PASSAGES) for text in ("The pump runs.", "The valve closes at noon.")]
    prompts = engine.prepare(
        [
            (Message(role="user", content=f"Passages:\n[1] {PASSAGES[0]}\n\n[2] {PASSAGES[1]}\n\n"
                     "Say what the passages say, in one sentence."),),
            (Message(role="user", content="Say anything, in one sentence."),),
        ]
    )  # fmt: skip
    for claim, rating in zip(claims, LikelihoodScorer(engine).rate(claims), strict=True):
        (given,), (alone,) = engine.score(prompts, [(claim.sentence,)] * 2, None)
        assert rating.value == pytest.approx(fmean(given.logprobs) - fmean(alone.logprobs), abs=1e-4)
    assert LikelihoodScorer(engine).rate([]) == []


def test_a_sentence_that_the_models_context_does_not_hold_has_a_reason(engine: TorchEngine) -> None:
    claims = [Claim(sentence="pump " * 20_000, contexts=PASSAGES), Claim(sentence="The pump.", contexts=PASSAGES)]
    long, short = LikelihoodScorer(engine).rate(claims)
    assert (long.value, short.reason) == (None, None)
    assert long.reason is not None
    assert long.reason.endswith("limit 2048")


def test_an_engine_without_log_probabilities_says_so() -> None:
    def script(asked: Asked) -> Reply:
        return listing("m") if asked.path.endswith("/models") else answer()

    with OpenAIServer(script) as server:
        settings = EndpointSettings(urls=(server.url,), model="m")
        with (
            EndpointEngine(settings, key=None, jitter=random.Random(0)) as engine,
            pytest.raises(ModelError, match="cannot score"),
        ):
            LikelihoodScorer(engine).rate([Claim(sentence="x", contexts=PASSAGES)])
