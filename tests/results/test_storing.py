"""Which results are shown where none is named."""

from workbench.results.storing import usual_first


def test_what_is_shown_where_no_probe_is_named() -> None:
    """Cases of a study came from `lda+layers-24`, the first by its letters, where all layers had been probed."""
    made = [
        "Own",
        "lda+layers-24",
        "logistic+seeds0-1+group-x",
        "logistic+seed1",
        "logistic",
        "embedding+rank4",
    ]
    assert sorted(made, key=usual_first) == [
        "embedding+rank4", "logistic", "logistic+seed1", "logistic+seeds0-1+group-x", "lda+layers-24", "Own",
    ]  # fmt: skip


def test_one_variable_alone_is_a_table_with_its_coordinates() -> None:
    import xarray as xr

    from workbench.results.storing import to_dataframe

    accuracy = xr.DataArray(
        [[0.5, 1.0]], dims=("position", "target"), name="accuracy",
        coords={"position": [0], "target": ["a", "b"], "place": ("position", ["end:town"])},
    )  # fmt: skip
    table = to_dataframe(accuracy)
    assert table[["position", "target", "place", "accuracy"]].values.tolist() == [
        [0, "a", "end:town", 0.5], [0, "b", "end:town", 1.0],
    ]  # fmt: skip
