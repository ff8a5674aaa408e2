"""What a job is said to need is understood before anything is submitted."""

from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.experiments.engines.jobs import Needs, bytes_of
from workbench.experiments.engines.slurm import Slurm


def test_memory_is_counted_as_sbatch_counts_it():
    counted = [bytes_of(text) for text in ("32G", "100", "1.5M", "2T")]
    assert counted == [32 * 2**30, 100 * 2**20, 1.5 * 2**20, 2**41]


@pytest.mark.parametrize("text", ["much", "", "32 Gigs", "-1G"])
def test_memory_that_is_none_is_refused_whatever_the_engine(text):
    with pytest.raises(WorkbenchError, match=f"--mem '{text}' is not understood; write e.g. 32G."):
        Needs(memory=text)


@pytest.mark.parametrize("text", ["90", "90:30", "4:00:00", "2-12", "2-12:30", "2-12:30:15", "infinite"])
def test_a_time_limit_has_one_of_slurms_forms(text):
    assert f"--time={text}" in Slurm(time=text).sbatch_words("train", 1, Path("jobs"))


@pytest.mark.parametrize("text", ["banana", "4h", "1:2:3:4", "2-", "", "90 minutes"])
def test_a_time_limit_that_is_none_is_refused_in_a_dry_run_too(text):
    with pytest.raises(WorkbenchError, match=f"--time '{text}' is no time limit of SLURM; write minutes"):
        Slurm(time=text, dry_run=True)
