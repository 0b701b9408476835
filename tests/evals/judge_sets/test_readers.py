from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fourfold.errors import InputError
from fourfold.evals.judge_sets.begin import read_begin
from fourfold.evals.judge_sets.evouna import SYSTEMS, read_evouna
from fourfold.evals.judge_sets.item import LabelledItem
from fourfold.evals.judge_sets.llmbar import read_llmbar
from fourfold.evals.judge_sets.ragchecker import read_ragchecker

Reader = Callable[[Path], tuple[LabelledItem, ...]]


def evouna_row(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"question": "how tall is the dam", "golden_answer": "90 m/ninety metres", "improper": False}
    for system in SYSTEMS:
        row |= {f"answer_{system}": f"It is 90 m ({system}).", f"judge_{system}": True}
    return row | changes


def llmbar_row(**changes: Any) -> dict[str, Any]:
    return {"input": "Name a river.", "output_1": "The Elbe.", "output_2": "Rivers are long.", "label": 1} | changes


def ragchecker_row(**changes: Any) -> dict[str, Any]:
    return {
        "instance_id": 7, "dataset": "dams", "query_id": "3", "query": "Why a spillway?", "gt_answer": "For floods.",
        "model1": {"model_name": "a", "response": "Floods.", "critiques": []},
        "model2": {"model_name": "b", "response": "Fish.", "critiques": []},
        "correctness_label": -2, "completeness_label": 0, "overall_label": 1,
    } | changes  # fmt: skip


BEGIN_HEADING = "model_name\tdata_source\tknowledge\tmessage\tresponse\tbegin_label"
BEGIN_LINE = 't5\twow\tThe "old" dam is 90 m tall.\thow tall?\tIt is 90 m.\tFully attributable'


def rag_overall(path: Path) -> tuple[LabelledItem, ...]:
    return read_ragchecker(path, criterion="overall")


def write(folder: Path, *rows: object, name: str = "llmbar_Natural.json") -> Path:
    """One row a line, as a JSON list that begins on the file's first line."""
    path = folder / name
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]", encoding="utf-8")
    return path


def test_evouna_gives_one_item_a_system_with_the_answers_alternatives(tmp_path: Path) -> None:
    items = read_evouna(write(tmp_path, evouna_row(judge_gpt4=False)))
    assert [one.group for one in items] == list(SYSTEMS)
    assert [one.label for one in items] == ["right", "right", "right", "wrong", "right"]
    assert {one.references for one in items} == {("90 m", "ninety metres")}
    assert {one.cluster for one in items} == {"how tall is the dam"}
    assert items[1].answers == ("It is 90 m (gpt35).",)


def test_an_answer_that_nobody_judged_or_an_improper_question_has_no_label(tmp_path: Path) -> None:
    rows = (evouna_row(judge_fid=None, answer_newbing=None), evouna_row(improper=True, golden_answer=None))
    items = read_evouna(write(tmp_path, *rows))
    assert [one.unlabelled for one in items[:5]] == ["nobody judged it", None, None, None, "nobody judged it"]
    assert {one.unlabelled for one in items[5:]} == {"its authors set the question aside"}
    assert all((one.label is None) == (one.unlabelled is not None) for one in items)
    assert items[9].references == ()


def test_llmbar_names_the_answer_that_follows_and_the_part_of_the_set(tmp_path: Path) -> None:
    first, second = read_llmbar(write(tmp_path, llmbar_row(), llmbar_row(label=2)))
    assert (first.label, second.label) == ("first", "second")
    assert (first.group, first.item_id, second.item_id) == ("Natural", "Natural-0", "Natural-1")
    assert first.answers == ("The Elbe.", "Rivers are long.")


@pytest.mark.parametrize(
    ("criterion", "label"), [("correctness", "first"), ("completeness", "tie"), ("overall", "second")]
)
def test_ragcheckers_negative_preference_is_for_the_first(tmp_path: Path, criterion: Any, label: str) -> None:
    (item,) = read_ragchecker(write(tmp_path, ragchecker_row()), criterion=criterion)
    assert (item.label, item.criterion) == (label, criterion)
    assert (item.answers, item.references) == (("Floods.", "Fish."), ("For floods.",))


def test_two_peoples_contradictory_preferences_are_two_items_of_one_cluster(tmp_path: Path) -> None:
    items = rag_overall(write(tmp_path, ragchecker_row(), ragchecker_row(overall_label=-1)))
    assert [one.label for one in items] == ["second", "first"]
    assert [one.item_id for one in items] == ["7-1", "7-2"]
    assert len({one.cluster for one in items}) == 1


def test_begin_keeps_quotes_and_the_line_ends_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "dev.tsv"
    other = BEGIN_LINE.replace("Fully", "Not fully").replace("90 m.", "91\u2028m.")
    path.write_bytes(f"{BEGIN_HEADING}\r\n{BEGIN_LINE}\r\n{other}\r\n".encode())
    first, second = read_begin(path)
    assert (first.label, second.label) == ("right", "wrong")
    assert first.contexts == ('The "old" dam is 90 m tall.',)
    assert second.answers == ("It is 91\u2028m.",)


@pytest.mark.parametrize(
    ("reader", "good", "bad", "named"),
    [
        (read_evouna, evouna_row(), evouna_row(judge_fid="yes"), "judge_fid"),
        (read_evouna, evouna_row(), {"question": "x"}, "golden_answer"),
        (read_llmbar, llmbar_row(), llmbar_row(label=3), "label"),
        (read_llmbar, llmbar_row(), llmbar_row(output_3="x"), "output_3"),
        (rag_overall, ragchecker_row(), ragchecker_row(overall_label=3), "overall_label"),
        (rag_overall, ragchecker_row(), ragchecker_row(model1={"model_name": "a"}), "model1.response"),
        (read_llmbar, llmbar_row(), ["no", "object"], "line 3"),
    ],
)
def test_a_malformed_row_or_unknown_label_is_named_by_line_and_field(
    tmp_path: Path, reader: Reader, good: object, bad: object, named: str
) -> None:
    with pytest.raises(InputError, match="1 of 3 rows") as error:
        reader(write(tmp_path, good, bad, good))
    assert "line 3" in str(error.value.seen)
    assert named in str(error.value.seen)


@pytest.mark.parametrize(
    "line",
    [BEGIN_LINE.replace("Fully attributable", "maybe"), "too\tfew", BEGIN_LINE + "\tone too many"],
    ids=["label", "few", "many"],
)
def test_a_malformed_line_of_begin_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "dev.tsv"
    path.write_text(f"{BEGIN_HEADING}\n{BEGIN_LINE}\n{line}", encoding="utf-8")
    with pytest.raises(InputError, match="1 of 2 rows") as error:
        read_begin(path)
    assert "line 3" in str(error.value.seen)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"input": 1}', "line 1: a list does not begin here"),
        ('[\n{"input": "x",\n "label": ', "line 3: Expecting value"),
        ('[\n{"input": "x"}', "line 2: neither a comma nor the list's end"),
        ("[" * 100_000, "line 1: "),
        ("", "line 1: a list does not begin here"),
    ],
)
def test_a_cut_off_file_or_another_form_is_named_by_line(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "set.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="not the JSON it should be") as error:
        read_llmbar(tmp_path / "set.json")
    assert why in str(error.value.seen)


def test_a_set_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text(BEGIN_HEADING + "\n", encoding="utf-8")
    for reader, path in ((read_llmbar, write(tmp_path)), (read_begin, tmp_path / "dev.tsv")):
        with pytest.raises(InputError, match="has no rows"):
            reader(path)


def test_another_encoding_is_named_by_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_bytes(json.dumps([llmbar_row(input="Müll")], ensure_ascii=False, indent=1).encode("latin-1"))
    with pytest.raises(InputError, match="another encoding") as error:
        read_llmbar(path)
    assert "line 3: byte 0xfc" in str(error.value.seen)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "dev.tsv"
    path.write_text(f"{BEGIN_HEADING}\n{BEGIN_LINE}", encoding="utf-8-sig")
    assert len(read_begin(path)) == 1


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_evouna(tmp_path / "none.json")


def test_the_real_files_have_their_published_counts(test_data: Path) -> None:
    folder = test_data / "qa"
    evouna = read_evouna(folder / "evouna_NQ.json")
    assert Counter(one.group for one in evouna) == dict.fromkeys(SYSTEMS, 3610)
    assert Counter(one.label for one in evouna) == {"right": 11_058, "wrong": 4_040, None: 2_952}
    assert len(rag_overall(folder / "ragchecker_human.json")) == 560
    parts = [read_llmbar(path) for path in sorted((folder / "llmbar").glob("*.json"))]
    assert sum(map(len, parts)) == 419
    begin = read_begin(folder / "begin_dev_wow.tsv")
    assert Counter(one.label for one in begin) == {"right": 180, "wrong": 250}
