"""Tables keep every character where no terminal bounds them, and obey one that does."""

import pytest
from rich.table import Table

from workbench.consoles import UNBOUND_WIDTH, messages_console, results_console

NAMES = [f"multi5+permute+reverse6+seed{n}-159a6c7b3cca" for n in range(4)]


def test_a_pipe_cuts_nothing_and_columns_bind(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(*NAMES)
    table.add_row(*NAMES)
    monkeypatch.delenv("COLUMNS", raising=False)
    results_console().print(table)
    assert capsys.readouterr().out.count(NAMES[-1]) == 2
    assert results_console().width == UNBOUND_WIDTH
    monkeypatch.setenv("COLUMNS", "70")
    assert results_console().width == 70
    results_console().print(table)
    assert NAMES[-1] not in capsys.readouterr().out


def test_messages_leave_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    messages_console().print("said")
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "said\n")
