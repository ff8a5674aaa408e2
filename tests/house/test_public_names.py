"""The public surface: adding a name is a decision, so it is made here too."""

import workbench
from workbench import activations

LINES = [
    "AttentionRequest CaseChoice Checkpoint Corpus EvaluationRequest Recipe Run Study WorkbenchError bridge",
    "cache_activations capture create_run create_study evaluate export find_emergence fit_probes iterate_activations",
    "list_results load_cases load_corpus load_model load_recipe load_results make_corpus make_figure make_recipe",
    "open_run open_store open_study probe_activations read_study read_table run_attention run_p_probe run_q_probe",
    "save_result shipped_recipes show to_dataframe trace train write_report",
]
PUBLIC = [name for line in LINES for name in line.split()]


def test_all_is_pinned() -> None:
    assert workbench.__all__ == PUBLIC == sorted(PUBLIC)


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in PUBLIC:
        thing = getattr(workbench, name)
        assert thing.__name__ == name
        assert thing.__doc__, name
        assert name in dir(workbench)


def test_other_names_are_not() -> None:
    assert not hasattr(workbench, "no_such_name")


def test_names_of_the_first_version_still_lead_somewhere() -> None:
    assert activations.find_sources is activations.find_series
    assert activations.ModelSource is activations.Checkpoint
