"""The small finished runs of the report's tests."""

from tests.report.conftest import made_runs

__all__ = ["made_runs"]
