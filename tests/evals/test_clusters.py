import math

import pytest

from fourfold.errors import InputError
from fourfold.evals.clusters import choose_clusters, sum_by_cluster


def test_thirty_documents_are_the_clusters() -> None:
    documents = [f"d{k}" for k in range(30)] * 2
    assert choose_clusters(documents, ["s"] * 60) == ("document", documents)


def test_below_thirty_documents_the_section_is_the_cluster() -> None:
    documents = [f"d{k}" for k in range(29)] + ["d0"]
    kind, clusters = choose_clusters(documents, ["s"] * 29 + ["t"])
    assert kind == "section"
    assert len(set(clusters)) == 30


def test_sections_of_one_name_in_two_documents_are_two_clusters() -> None:
    _, clusters = choose_clusters(["a", "b", "a"], ["Results", "Results", "Results"])
    assert clusters[0] == clusters[2] != clusters[1]


def test_document_and_section_names_cannot_run_into_each_other() -> None:
    _, clusters = choose_clusters(["a", "a / b"], ["b / c", "c"])
    assert len(set(clusters)) == 2


def test_no_questions_have_no_clusters() -> None:
    assert choose_clusters([], []) == ("section", [])


def test_documents_and_sections_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match="1 documents, 2 sections"):
        choose_clusters(["a"], ["s", "t"])


def test_ragged_clusters_are_added_up_by_hand() -> None:
    data = sum_by_cluster([1, 2, None, 4, 8], ["b", "a", "a", "b", "b"])
    assert data.sums.tolist() == [2.0, 13.0]
    assert data.counts.tolist() == [1.0, 3.0]
    assert (data.n, data.n_missing, data.n_clusters, data.mean) == (4, 1, 2, 3.75)


def test_a_cluster_whose_values_are_all_missing_is_none() -> None:
    assert sum_by_cluster([1.0, None], ["a", "b"]).n_clusters == 1


def test_only_missing_values_have_no_mean() -> None:
    data = sum_by_cluster([None, None], ["a", "b"])
    assert (data.n, data.n_missing, data.n_clusters, data.mean, data.constant) == (0, 2, 0, None, False)


def test_equal_values_have_that_value_as_their_mean_without_rounding() -> None:
    assert sum_by_cluster([0.1] * 3, ["a", "b", "b"]).mean == 0.1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="in cluster 'b'"):
        sum_by_cluster([1.0, bad], ["a", "b"])


def test_values_and_clusters_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match="2 values, 1 clusters"):
        sum_by_cluster([1.0, 2.0], ["a"])
