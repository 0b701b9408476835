import dataclasses

import pytest

from fourfold.evals.estimate import Estimate, PValue


def test_an_estimate_cannot_be_changed() -> None:
    estimate = Estimate(
        value=None,
        low=None,
        high=None,
        se=None,
        dof=None,
        n=0,
        n_missing=0,
        n_clusters=0,
        method="mean",
        reason="no values",
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate.value = 0.0  # type: ignore[misc]


def test_fields_of_a_p_value_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        PValue(0.5, 1, 0, 1, "t", None)  # type: ignore[call-arg]
