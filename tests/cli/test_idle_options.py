"""An option that would do nothing is refused: who gives one believes that it does something."""

import pytest

from tests.cli.conftest import Command
from workbench.studies.runs import Run


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("probe RUN --kind v --family ridge", "--family does nothing for --kind v"),
        ("probe RUN --kind v --learning-curve", "--learning-curve does nothing for --kind v"),
        ("probe RUN --kind v --no-cases", "--cases does nothing for --kind v"),
        ("probe RUN --property nece", "--property does nothing for --kind p"),
        ("probe RUN --kind q --operations 3", "--operations does nothing for --kind q"),
        ("evaluate RUN --hints", "--hints does nothing without --tasks"),
        ("evaluate RUN --pairs 5", "--pairs does nothing without --tasks"),
        ("evaluate RUN --tasks retrieval --group everyone", "--group does nothing with --tasks"),
        ("evaluate RUN --tasks retrieval --examples 3", "--examples does nothing with --tasks"),
        ("attention RUN --which best", "--which does nothing without --adapter"),
        ("attention RUN --adapter lora --no-control", "--control does nothing with --adapter"),
        ("entity RUN --which best", "--which does nothing without --adapter"),
        ("entity RUN --entity 3 --entities 5", "--entities does nothing with --entity"),
        ("compare RUN --tasks --probe q", "--probe does nothing with --tasks"),
        ("rewrite tiny --model m --concurrency 3", "--concurrency does nothing without --server"),
        (
            "rewrite tiny --model m --server http://localhost:1 --batch 3",
            "--batch does nothing with --server",
        ),
        ("capacity RUN --paper", "--paper does nothing without --figure"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    words: str, sentence: str, workbench: Command, own_run: Run
) -> None:
    said = workbench(*words.replace("RUN", str(own_run.path)).split())
    assert said.status != 0 and f"{sentence}; leave it out." in said.err
    assert not (own_run.path / "results").exists()
