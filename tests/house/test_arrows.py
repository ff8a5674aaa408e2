"""Which part may import which: three packages in a row, and inside `workbench` the order of the pipeline."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {"workbench_models": "models/", "workbench": "", "workbench_app": "app/"}

# A part may import the parts above it, never one below: worlds → tasks → … → report, with what all of them
# stand on at the head. A new part needs its place here.
LINES = [
    "errors seeds processes partials text_files user_forms field_checks files locks memory minutes consoles",
    "facts",
    "worlds tasks recipes",
    "tokens",
    "studies",
    "training",
    "rewriting",
    "activations",
    "results",
    "probing extraction attention capacity",
    "reasoning",
    "entity_view",
    "figures",
    "claims",
    "report",
    "experiments",
    "cli __main__",
]
PIPELINE = [part for line in LINES for part in line.split()]


def list_modules(package: str) -> dict[str, Path]:
    """Dotted name → file of every module of a package."""
    base = ROOT / SOURCES[package]
    files = sorted((base / package).rglob("*.py"))
    return {".".join(file.relative_to(base).with_suffix("").parts): file for file in files}


def find_imports(tree: ast.AST, inside_function: bool = False) -> Iterator[tuple[str, bool]]:
    """Every imported dotted name, and whether the import stands inside a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside_function) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full"
            assert node.module is not None
            yield from ((f"{node.module}.{alias.name}", inside_function) for alias in node.names)
        else:
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from find_imports(node, inside_function or is_function)


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


MODULES = [(package, name, file) for package in SOURCES for name, file in list_modules(package).items()]
PARTS = sorted({name.split(".")[1] for package, name, _ in MODULES if package == "workbench"} - {"__init__"})


def part_of(name: str) -> str | None:
    """`workbench.tokens.encoding` → `tokens`; None for what is no part of the library."""
    head, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    return part if head == "workbench" and part in PARTS else None


@pytest.mark.parametrize(("package", "name", "file"), MODULES, ids=[name for _, name, _ in MODULES])
def test_arrows_between_packages(package: str, name: str, file: Path) -> None:
    """`workbench_models ← workbench ← workbench_app`; only the command line reaches the app, and lazily."""
    for imported, lazily in find_imports(parse(file)):
        head = imported.partition(".")[0]
        if package == "workbench_models":
            assert head not in ("workbench", "workbench_app"), f"{name} imports {imported}"
        if package == "workbench" and head == "workbench_app":
            assert part_of(name) == "cli", f"{name} imports {imported}"
            assert lazily, f"{name} imports {imported} at its head"


@pytest.mark.parametrize(
    ("name", "file"),
    [(name, file) for package, name, file in MODULES if package == "workbench"],
    ids=[name for package, name, _ in MODULES if package == "workbench"],
)
def test_arrows_inside_the_library_follow_the_pipeline(name: str, file: Path) -> None:
    own = part_of(name)
    if own is None:  # workbench/__init__.py gathers the public names from every part
        assert name == "workbench.__init__"
        return
    for imported, _ in find_imports(parse(file)):
        if imported.partition(".")[0] != "workbench":
            continue
        other = part_of(imported)
        assert other is not None, f"{name} imports {imported} from the package itself, not from its module"
        assert PIPELINE.index(other) <= PIPELINE.index(own), (
            f"{own} comes before {other}: {name} → {imported}"
        )


def test_every_part_has_its_place_in_the_pipeline() -> None:
    assert len(set(PIPELINE)) == len(PIPELINE)
    assert [part for part in PARTS if part not in PIPELINE] == []


def test_the_walk_sees_imports_wherever_they_stand() -> None:
    source = "import a.b\nif True:\n    from c import d\ndef f():\n    def g():\n        from e import h\n"
    assert list(find_imports(ast.parse(source))) == [("a.b", False), ("c.d", False), ("e.h", True)]
