"""How far judges agree with people on public sets, and how long a judgement takes.

    FOURFOLD_TEST_DATA=... python benchmarks/judge_agreement.py CASE ... [--items N] [--train N] [--model PATH]

    rivals     containment, word recall, embedding similarity     5 minutes
    embedded   the embedded model as it is                        half an hour; the pairs, which are long, 1 to 2 hours
    distilled  the embedded model, tuned by tuning/judge_recipe   the same twice, and about an hour of tuning
    larger     the model at --model (folder or GGUF file)         several hours

Sets: EVOUNA-NQ, at least --items answers (1,000) of questions that no threshold and no tuning saw; RAGChecker's 560
preferences; LLMBar's 419 pairs. Scores become rulings at the threshold that the other questions' labels give. Rows:
agreement, kappa with its cluster interval, milliseconds an item; for a judge on EVOUNA also its agreement less that of
containment, and of the distilled form less that of the model it was made from, paired. Appends to
`judge_agreement.csv`. How long judging a study takes is in `judge.py`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.judge_rulings import (  # noqa: E402
    ScoringJudge,
    judge_scores,
    pair_rulings,
    rival_rulings,
    rival_scores,
    to_rulings,
)
from benchmarks.rows import Row, append, measured  # noqa: E402
from fourfold.app.run import default_cache  # noqa: E402
from fourfold.digest import digest_of  # noqa: E402
from fourfold.evals.cluster_robust import cluster_mean  # noqa: E402
from fourfold.evals.estimate import Estimate  # noqa: E402
from fourfold.evals.judge.port import JudgeItem  # noqa: E402
from fourfold.evals.judge.prompts import pointwise_chat  # noqa: E402
from fourfold.evals.judge.rubric import RUBRICS, Rubric  # noqa: E402
from fourfold.evals.judge_sets.evouna import read_evouna  # noqa: E402
from fourfold.evals.judge_sets.item import Label, LabelledItem  # noqa: E402
from fourfold.evals.judge_sets.llmbar import read_llmbar  # noqa: E402
from fourfold.evals.judge_sets.prescreen import screen  # noqa: E402
from fourfold.evals.judge_sets.ragchecker import read_ragchecker  # noqa: E402
from fourfold.evals.judge_sets.split import hold_out  # noqa: E402
from fourfold.llm.port import Adapter  # noqa: E402
from fourfold.llm.torch_engine import TorchEngine  # noqa: E402
from fourfold.llm.weights import find_language_model  # noqa: E402
from fourfold.study import ModelSettings, TuningSettings  # noqa: E402
from fourfold.tuning.judge_recipe import train_judge  # noqa: E402
from fourfold.tuning.judge_rows import JudgedExample, build_judge_set  # noqa: E402
from fourfold.tuning.train import Base  # noqa: E402

SETTINGS = ModelSettings(dtype="float32", quantisation="none")
TUNING = TuningSettings(
    rank=16, alpha=32, learning_rate=4e-4, epochs=1, batch_rows=16, micro_batch_rows=4, checkpoint_steps=20
)
SEED = 0
HELD_OUT = 0.4
EVOUNA = "EVOUNA-NQ"
# Right is full marks, wrong the level of a wrong answer.
RATING: dict[Label, str] = {"right": "4", "wrong": "2"}
SEEING = RUBRICS["correctness"]
BLIND = dataclasses.replace(SEEING, shown=())
FORMS = ((SEEING, "with reference"), (BLIND, "without reference"))


@dataclass(frozen=True, kw_only=True)
class Sets:
    """The items: `train` sets thresholds and tunes, no question of it stands in `held`."""

    train: tuple[LabelledItem, ...]
    held: tuple[LabelledItem, ...]
    pairs: dict[str, tuple[LabelledItem, ...]]


def read_sets(folder: Path, *, n_held: int, n_train: int) -> Sets:
    """EVOUNA's questions in an order of no meaning, whole questions until there are enough items; all pairs."""
    items = [one for one in read_evouna(folder / "evouna_NQ.json") if one.label is not None]
    train, held = hold_out(items, share=HELD_OUT, seed=SEED)
    llmbar = tuple(one for path in sorted((folder / "llmbar").glob("*.json")) for one in read_llmbar(path))
    ragchecker = read_ragchecker(folder / "ragchecker_human.json", criterion="overall")
    return Sets(
        train=first_questions(train, n_train),
        held=first_questions(held, n_held),
        # Fewer only where a trial asks for few.
        pairs={"RAGChecker": ragchecker[: 2 * n_held], "LLMBar": llmbar[:n_held]},
    )


def first_questions(items: Sequence[LabelledItem], n: int) -> tuple[LabelledItem, ...]:
    """Whole questions until there are n items."""
    ordered = sorted(items, key=lambda one: digest_of(one.cluster))
    end = next((at for at in range(n, len(ordered)) if ordered[at].cluster != ordered[at - 1].cluster), len(ordered))
    return tuple(ordered[:end])


def rivals(sets: Sets, _: argparse.Namespace) -> list[Row]:
    """What needs no judge."""
    rows: list[Row] = []
    base = contained(sets)
    for name in ("containment", "word recall", "embedding similarity"):
        rival_scores(name, sets.held[:1])  # the embedder loads
        started = time.perf_counter()
        rulings = rival_rulings(name, sets.train, sets.held)
        seconds = (time.perf_counter() - started) * len(sets.held) / (len(sets.held) + len(sets.train))
        rows += rows_of(EVOUNA, name, sets.held, rulings, seconds)
        if name != "containment":
            rows += paired(f"{name} less containment", sets.held, rulings, base)
        # LLMBar has no reference to measure an answer by.
        started = time.perf_counter()
        items = sets.pairs["RAGChecker"]
        compared = [better(a, b) for a, b in rival_scores(name, items)]
        rows += rows_of("RAGChecker", name, items, compared, time.perf_counter() - started)
    return rows


def embedded(sets: Sets, _: argparse.Namespace) -> list[Row]:
    """The embedded model as it is."""
    return model_rows(sets, engine_of("embedded"))


def larger(sets: Sets, given: argparse.Namespace) -> list[Row]:
    """Another model."""
    if given.model is None:
        raise SystemExit("--model names no folder or file")
    return model_rows(sets, engine_of(given.model))


def distilled(sets: Sets, _: argparse.Namespace) -> list[Row]:
    """The embedded model tuned on the other questions, with the reference in sight and without."""
    engine = engine_of("embedded")
    examples = [example_of(one, one.label) for one in sets.train if one.label is not None]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        trained = train_judge(
            Path(folder),
            build_judge_set(engine, examples, SEEING.labels),
            Base(weights=engine.weights, settings=SETTINGS, device="cpu"),
            tuning=TUNING,
            seed=SEED,
            progress=lambda done, total: print(f"step {done}/{total}", file=sys.stderr),
        )
        minutes = (time.perf_counter() - started) / 60
        shape = f"{trained.n_rows} answers, loss {trained.loss_first:.3f} to {trained.loss_last:.3f}"
        rows = [measured([minutes], op="tuning", implementation="distilled", unit="min", shape=shape, dtype="float32")]
        judge = ScoringJudge(engine, Adapter(folder=Path(folder), digest=trained.digest))
        for rubric, form in FORMS:
            name = f"{engine.weights.name}, distilled, {form}"
            before, _seconds = evouna_rulings(sets, ScoringJudge(engine), rubric)
            rulings, seconds = evouna_rulings(sets, judge, rubric)
            rows += rows_of(EVOUNA, name, sets.held, rulings, seconds)
            rows += paired(f"{name} less undistilled", sets.held, rulings, before)
            rows += paired(f"{name} less containment", sets.held, rulings, contained(sets))
        return rows + pair_rows(sets, judge, f"{engine.weights.name}, distilled")


def model_rows(sets: Sets, engine: TorchEngine) -> list[Row]:
    """All sets by one model, on EVOUNA with the reference and without."""
    judge = ScoringJudge(engine)
    rows = []
    for rubric, form in FORMS:
        name = f"{engine.weights.name}, {form}"
        rulings, seconds = evouna_rulings(sets, judge, rubric)
        rows += rows_of(EVOUNA, name, sets.held, rulings, seconds)
        rows += paired(f"{name} less containment", sets.held, rulings, contained(sets))
    return rows + pair_rows(sets, judge, engine.weights.name)


def evouna_rulings(sets: Sets, judge: ScoringJudge, rubric: Rubric) -> tuple[list[Label | None], float]:
    """Rulings on the held-out items by the threshold of the others, and seconds for the held-out ones."""
    known = judge_scores(judge, rubric, sets.train)
    started = time.perf_counter()
    scores = judge_scores(judge, rubric, sets.held)
    return to_rulings(scores, known, sets.train), time.perf_counter() - started


def pair_rows(sets: Sets, judge: ScoringJudge, name: str) -> list[Row]:
    """The sets of pairs, each pair in both orders."""
    rows = []
    for title, items in sets.pairs.items():
        started = time.perf_counter()
        rulings = pair_rulings(judge, items)
        rows += rows_of(title, name, items, rulings, time.perf_counter() - started)
    return rows


def rows_of(
    title: str, name: str, items: Sequence[LabelledItem], rulings: Sequence[Label | None], seconds: float
) -> list[Row]:
    """Agreement, kappa and time."""
    found = screen(items, rulings)
    shape, note = f"{title}, {len(items)} items", f"{found.n_failed} failed"
    return [
        *estimate_row("agreement", name, found.agreement, shape, note),
        *estimate_row("agreement, failed as wrong", name, found.agreement_all, shape, note),
        *estimate_row("kappa", name, found.kappa, shape, note),
        measured([1000 * seconds / len(items)], op="time an item", implementation=name, unit="ms", shape=shape),
    ]


def paired(
    name: str, items: Sequence[LabelledItem], rulings: Sequence[Label | None], others: Sequence[Label | None]
) -> list[Row]:
    """Difference of agreement on EVOUNA, paired by item; an item without a ruling disagrees."""
    differences = [
        float(a == one.label) - float(b == one.label) for one, a, b in zip(items, rulings, others, strict=True)
    ]
    estimate = cluster_mean(differences, [one.cluster for one in items])
    return estimate_row("agreement, paired difference", name, estimate, f"{EVOUNA}, {len(items)} items", "")


def estimate_row(op: str, name: str, estimate: Estimate, shape: str, note: str) -> list[Row]:
    """An estimate as a row, its interval in `mode`; an undefined one is told and is none."""
    if estimate.value is None:
        print(f"{op}, {name}, {shape}: undefined, {estimate.reason}", file=sys.stderr)
        return []
    ends = estimate.reason if estimate.low is None else f"95% {estimate.low:.3f} to {estimate.high:.3f}"
    mode = ", ".join(filter(None, (ends, f"{estimate.n_clusters} questions", note)))
    return [measured([estimate.value], op=op, implementation=name, unit="share", shape=shape, mode=mode)]


def engine_of(model: str) -> TorchEngine:
    """A model in this process."""
    return TorchEngine(find_language_model(model, default_cache(os.environ)), SETTINGS, device="cpu")


def example_of(one: LabelledItem, label: Label) -> JudgedExample:
    """A labelled answer as the judge is asked about it, both ways."""
    item = JudgeItem(
        item_id=one.item_id,
        question=one.question,
        answer=one.answers[0],
        reference=" / ".join(one.references),
        passage="",
    )
    return JudgedExample(
        with_reference=pointwise_chat(SEEING, item, how="probabilities"),
        without_reference=pointwise_chat(BLIND, item, how="probabilities"),
        rating=RATING[label],
    )


def contained(sets: Sets) -> list[Label | None]:
    """The rulings of the cheapest rival."""
    return rival_rulings("containment", sets.train, sets.held)


def better(a: float, b: float) -> Label:
    """Which of two scores is higher."""
    if a == b:
        return "tie"
    return "first" if a > b else "second"


CASES: dict[str, Callable[[Sets, argparse.Namespace], list[Row]]] = {
    "rivals": rivals,
    "embedded": embedded,
    "distilled": distilled,
    "larger": larger,
}


def main() -> None:
    """Run cases, print and append."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--items", type=int, default=1000, help="EVOUNA answers held out, at least")
    parser.add_argument("--train", type=int, default=600, help="EVOUNA answers that thresholds and tuning see")
    parser.add_argument("--model", help="folder or GGUF file of the larger model")
    given = parser.parse_args()
    sets = read_sets(Path(os.environ["FOURFOLD_TEST_DATA"]) / "qa", n_held=given.items, n_train=given.train)
    for case in given.cases:
        rows = CASES[case](sets, given)
        for row in rows:
            print(f"{row.op:28} {row.implementation:60} {row.median:9.4g} {row.unit:6} {row.shape}; {row.mode}")
        append("judge_agreement", rows)


if __name__ == "__main__":
    main()
