"""Knowledge Filter: how well each engine tells passages with an answer from passages without.

    python benchmarks/knowledge_filter.py DATA [--engines overlap cross-encoder logprobs prompted] [--epochs 2]
        [--seed 0] [--device cpu] [--limit N] [--save FOLDER]

DATA is the folder of real inputs (its qa/ is read). Two sets, of which nothing is trained on: BEGIN's development set
(is the response attributable to the knowledge; 430 human labels) and HotpotQA's distractor setting (does the passage
hold a supporting fact; 1,000 passages of 100 questions). Figures: ROC-AUC with its bootstrap interval (resampled by
question in HotpotQA), for the prompted engine the balanced accuracy of its yes and no and the share that failed. The
word-overlap baseline is the share of the hypothesis' content words that stand in the passage.

The cross-encoder is the embedded MiniLM, trained on SciFact's training claims (an abstract, its evidence sentences)
and on AgXQA's and the first of NQ's questions as a study's own labels (the gold passage, and neighbours by BM25). It is
kept with `--save`.

Rows go to benchmarks/knowledge_filter.csv. On 2 cores about 20 minutes for the cross-encoder's training, 10 for
log-probabilities, 20 for the prompted engine; `--limit` cuts training pairs and both sets.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from passages import Asked, read_agxqa, read_begin, read_hotpot, read_nq, read_scifact
from rows import Row, append, measured

from fourfold.app.context import Context
from fourfold.app.module_models import scorer, stored_writer
from fourfold.app.progress import Reporter
from fourfold.app.run import default_cache
from fourfold.evals.attribution import FUNCTION_WORDS
from fourfold.llm.weights import find_embedder
from fourfold.retrieval.lexical import LexicalIndex
from fourfold.retrieval.modules.judge_cross_encoder import CrossEncoderScorer, train_cross_encoder
from fourfold.retrieval.modules.judge_logprobs import LogprobScorer
from fourfold.retrieval.modules.judge_prompted import PromptedJudge
from fourfold.retrieval.modules.knowledge_filter import Judgement, LabelledPair, Pair
from fourfold.store import Store
from fourfold.study import EMBEDDED, CorpusSettings, StudySettings
from fourfold.text import squad_tokens
from fourfold.types import Chunk

Judge = Callable[[Path, Sequence[Pair]], Sequence[Judgement]]
ENGINES = ("overlap", "cross-encoder", "logprobs", "prompted")
N_NQ = 1000
N_NEIGHBOURS = 2
RESAMPLES = 1000


def main() -> None:
    """Train, judge both sets with every engine, append the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit", type=int, default=None, help="training pairs, and pairs of each set; all of them")
    parser.add_argument("--save", type=Path, default=None, help="folder for the trained cross-encoder")
    asked = parser.parse_args()
    folder = asked.data / "qa"
    sets = {"BEGIN dev": begin(folder)[: asked.limit], "HotpotQA": hotpot(folder)[: asked.limit]}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        for engine in asked.engines:
            judge = make(engine, folder, asked.save or Path(scratch) / "cross-encoder", asked)
            for name, pairs in sets.items():
                rows += figures(engine, name, pairs, judge(Path(scratch), [pair.pair for pair in pairs]))
    print(f"rows: {append('knowledge_filter', rows)}")


def make(engine: str, folder: Path, place: Path, asked: argparse.Namespace) -> Judge:
    """What judges pairs, given a folder for a store."""
    if engine == "overlap":
        return lambda _, pairs: [overlap(pair) for pair in pairs]
    if engine == "cross-encoder":
        pairs = training_pairs(folder, seed=asked.seed)[: asked.limit]
        print(f"training on {len(pairs)} pairs, {sum(pair.entailed for pair in pairs)} entailed")
        loss = train_cross_encoder(
            place, pairs, find_embedder(EMBEDDED).folder, epochs=asked.epochs, seed=asked.seed, device=asked.device
        )
        print(f"trained, loss {loss:.3f}")
        return lambda _, some: CrossEncoderScorer(place, device=asked.device).score(some)
    return lambda runs, some: by_model(engine, runs, some)


def by_model(engine: str, runs: Path, pairs: Sequence[Pair]) -> list[Judgement]:
    """The embedded language model's judgements."""
    study = StudySettings(name="filter", corpus=CorpusSettings(folder=Path("none")))
    with Store.open(runs / engine) as store:
        context = Context(study=study, store=store, reporter=Reporter(quiet=False), cache=default_cache(os.environ))
        if engine == "logprobs":
            return LogprobScorer(scorer(context)).score(pairs)
        return PromptedJudge(stored_writer(context, "judging passages")).judge(pairs)


def overlap(pair: Pair) -> Judgement:
    """The share of the hypothesis' content words that the passage holds."""
    wanted = set(squad_tokens(pair.hypothesis)) - FUNCTION_WORDS
    share = len(wanted & set(squad_tokens(pair.premise))) / len(wanted) if wanted else 0.0
    return Judgement(entailed=share >= 0.5, score=share)


def figures(engine: str, name: str, pairs: Sequence[LabelledPair], judged: Sequence[Judgement]) -> list[Row]:
    """ROC-AUC where there are scores, else balanced accuracy; and the share that failed."""
    done = [(pair, one) for pair, one in zip(pairs, judged, strict=True) if one.entailed is not None]
    labels = np.array([pair.entailed for pair, _ in done])
    clusters = np.unique([pair.pair.hypothesis for pair, _ in done], return_inverse=True)[1]
    failed = 1 - len(done) / len(pairs)
    shape = f"{name}: {len(pairs)} pairs, {sum(pair.entailed for pair in pairs)} entailed"
    rows = [measured([failed], op="knowledge filter", implementation=engine, unit="share failed", shape=shape)]
    if len(set(labels.tolist())) < 2:
        print(f"{engine:14} {shape}: {failed:.1%} failed; labels of one kind, no figure")
        return rows
    scored = all(one.score is not None for _, one in done)
    values = np.array([one.score if scored else float(bool(one.entailed)) for _, one in done])
    low, high = interval(values, labels, clusters)
    # Of a yes or no the area is the balanced accuracy.
    unit = "ROC-AUC" if scored else "balanced accuracy"
    print(f"{engine:14} {shape}: {unit} {area(values, labels):.3f} [{low:.3f}, {high:.3f}], {failed:.1%} failed")
    return [*rows, measured([low, area(values, labels), high], op="knowledge filter", implementation=engine,
                            unit=unit, shape=shape, mode="95% interval")]  # fmt: skip


def area(values: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """ROC-AUC: how often an entailed pair scores above another, ties half (Mann-Whitney)."""
    from scipy.stats import rankdata

    n = int(labels.sum())
    return float((rankdata(values)[labels].sum() - n * (n + 1) / 2) / (n * (len(labels) - n)))


def interval(values: NDArray[np.float64], labels: NDArray[np.bool_], clusters: NDArray[np.intp]) -> tuple[float, float]:
    """The middle 95% of the area over resampled clusters."""
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(clusters == cluster) for cluster in range(clusters.max() + 1)]
    areas = []
    for _ in range(RESAMPLES):
        places = np.concatenate([members[at] for at in rng.integers(len(members), size=len(members))])
        if 0 < labels[places].sum() < len(places):
            areas.append(area(values[places], labels[places]))
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)


def begin(folder: Path) -> list[LabelledPair]:
    """BEGIN: does the knowledge entail the response."""
    return [pair_of(premise, text, entailed, "statement") for premise, text, entailed in read_begin(folder)]


def hotpot(folder: Path) -> list[LabelledPair]:
    """HotpotQA: does the passage hold a supporting fact of the question."""
    return [pair_of(premise, text, entailed) for premise, text, entailed in read_hotpot(folder)]


def training_pairs(folder: Path, *, seed: int) -> list[LabelledPair]:
    """SciFact's claims and two studies' questions, in a drawn order."""
    pairs: list[LabelledPair] = []
    for claim in read_scifact(folder):
        supported = claim.label == "SUPPORT"
        evidence = " ".join(claim.abstract[at] for at in claim.evidence)
        rest = " ".join(sentence for at, sentence in enumerate(claim.abstract) if at not in claim.evidence)
        pairs.append(pair_of(" ".join(claim.abstract), claim.claim, supported, "statement"))
        if evidence:
            pairs += [
                pair_of(evidence, claim.claim, supported, "statement"),
                pair_of(rest, claim.claim, False, "statement"),
            ]
    chunks, asked = read_agxqa(folder)
    pairs += question_pairs(chunks, asked)
    pairs += question_pairs(*read_nq(folder, N_NQ))
    random.Random(seed).shuffle(pairs)
    return pairs


def question_pairs(chunks: Sequence[Chunk], asked: Sequence[Asked]) -> list[LabelledPair]:
    """Each question with its gold passage and its nearest others without the reference."""
    texts = {chunk.chunk_id: chunk.text for chunk in chunks}
    with tempfile.TemporaryDirectory() as scratch:
        LexicalIndex.build(Path(scratch), chunks)
        found = LexicalIndex(Path(scratch), chunks).search([one.question for one in asked], 2 + N_NEIGHBOURS)
    pairs = []
    for one, places in zip(asked, found, strict=True):
        pairs.append(pair_of(texts[one.passage], one.question, True))
        others = [chunks[place].text for place, _ in places if chunks[place].chunk_id != one.passage]
        free = [text for text in others if not any(answer.lower() in text.lower() for answer in one.references)]
        pairs += [pair_of(text, one.question, False) for text in free[:N_NEIGHBOURS]]
    return pairs


def pair_of(premise: str, hypothesis: str, entailed: bool, kind: str = "question") -> LabelledPair:
    """A labelled pair."""
    return LabelledPair(
        pair=Pair(premise=premise, hypothesis=hypothesis, kind="statement" if kind == "statement" else "question"),
        entailed=entailed,
    )


if __name__ == "__main__":
    main()
