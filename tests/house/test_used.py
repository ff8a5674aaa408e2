"""Nothing is kept for its tests alone: what is defined is used by the packages, or documented."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [path for top in ("workbench", "app", "models") for path in sorted((ROOT / top).rglob("*.py"))]
TOLD = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]
# by Python, notebooks, the web server, torch
CALLED_BY_OTHERS = re.compile(r"__\w+__|_repr_\w+_|log_request|setup_context")


def list_definitions(tree: ast.Module) -> Iterator[str]:
    """Classes and functions but for those that a decorator hands to a framework."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() if any(isinstance(one, ast.Call) for one in node.decorator_list):
                pass
            case ast.FunctionDef() | ast.ClassDef():
                yield node.name


def list_uses(tree: ast.Module) -> Iterator[str]:
    """Names and attributes that are read, and names in strings: a lazy import's, a table's of methods."""
    for node in ast.walk(tree):
        match node:
            case ast.Name():
                yield node.id
            case ast.Attribute():
                yield node.attr
            case ast.Constant(value=str(text)):
                yield text


def test_every_definition_is_used_or_documented() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
    used = {name for tree in trees.values() for name in list_uses(tree)}
    told = set(re.findall(r"\w+", "".join(path.read_text(encoding="utf-8") for path in TOLD)))
    unused = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, tree in trees.items()
        for name in list_definitions(tree)
        if name not in used | told and not CALLED_BY_OTHERS.fullmatch(name)
    ]
    assert unused == []
