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
