"""The README cannot rot: its commands exist, its options exist, its tree is the tree."""

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
import typer

from workbench.recipes.recipe import load_recipe, shipped_recipes

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def list_blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def list_commands(text: str) -> Iterator[list[str]]:
    """The words of every command line in a document's shell blocks; comments and continuations resolved."""
    for block in list_blocks(text, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


COMMANDS = [
    pytest.param(words, id=f"{document.name}: {' '.join(words)}")
    for document in DOCUMENTS
    for words in list_commands(document.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("words", [words for words in COMMANDS if words.values[0][0] == "make"])
def test_make_targets_exist(words: list[str]) -> None:
    for word in words[1:]:
        if "=" in word:
            assert re.search(rf"^{word.partition('=')[0]} \?=", MAKEFILE, re.MULTILINE), word
        else:
            assert word in TARGETS


@pytest.mark.parametrize("words", [words for words in COMMANDS if words.values[0][0] == "workbench"])
def test_workbench_commands_and_options_exist(words: list[str]) -> None:
    from workbench.cli import app

    command: Any = typer.main.get_command(app)
    arguments = iter(words[1:])
    for word in arguments:
        subcommands = getattr(command, "commands", {})
        if subcommands and not word.startswith("-"):
            assert word in subcommands, f"there is no `workbench {word}`"
            command = subcommands[word]
        elif word.startswith("-") and word != "--help":
            name = word.partition("=")[0]
            options = {option: p for p in command.params for option in (*p.opts, *p.secondary_opts)}
            assert name in options, f"`workbench {command.name}` has no option {name}"
            takes_value = not getattr(options[name], "is_flag", False) and "=" not in word
            value = next(arguments) if takes_value else None
            if word == "--set":
                assert value is not None
                named = next((word for word in words if word in shipped_recipes()), "tiny")
                load_recipe(named, [value])  # the key and the value are real


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_options_named_in_sentences_exist(document: Path) -> None:
    """Of our commands, our scripts, or uv. That --help describes each option, tests/house/test_help.py holds."""
    from workbench.cli import app

    root: Any = typer.main.get_command(app)
    ours = {
        option
        for command in (root, *root.commands.values())
        for p in command.params
        for option in (*p.opts, *p.secondary_opts)
    }
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    known = {*ours, *re.findall(r'"(--[a-z-]+)"', scripts), "--help", "--torch-backend"}
    if document.name not in ("CHANGELOG.md", "lab-notes.md"):  # which tell what was
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", document.read_text(encoding="utf-8")))
        assert named <= known, sorted(named - known)


@pytest.mark.parametrize("words", [words for words in COMMANDS if words.values[0][:1] == ["workbench"]])
def test_recipes_named_in_commands_are_shipped(words: list[str]) -> None:
    if words[1] in ("data", "train", "recipes") and len(words) > 2 and not words[2].endswith((".toml", "/")):
        assert words[2] in shipped_recipes()


def test_the_two_commands_are_there() -> None:
    assert {"quickstart", "test"} <= {words[1] for words in list_commands(README) if words[0] == "make"}


def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.rstrip().splitlines()[-1] == "make test"
    assert script.splitlines()[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in script


def test_the_tree_is_the_real_one() -> None:
    """Every top-level folder that git knows is a line of the README's tree, and the other way round."""
    (block,) = [block for block in list_blocks(README, "text") if "workbench/" in block]
    written = re.findall(r"^(\.?[a-z_]+/)", block, re.MULTILINE)
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    real = {line.partition("/")[0] + "/" for line in tracked.stdout.splitlines() if "/" in line}
    assert sorted(written) == sorted(real)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_python_examples_import_what_exists(document: Path) -> None:
    """A document's Python runs as far as its imports; examples/ holds programs that run whole."""
    text = document.read_text(encoding="utf-8")
    for block in [*list_blocks(text, "python"), *list_blocks(text, "py")]:
        tree = compile(block, document.name, "exec", ast.PyCF_ONLY_AST)
        tree.body = [line for line in tree.body if isinstance(line, ast.Import | ast.ImportFrom)]
        exec(compile(tree, document.name, "exec"), {})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_commands_stand_where_they_are_checked(document: Path) -> None:
    """A block of command lines says that it is one (```sh); in a plain block nobody would see them rot."""
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    plain = [block for language, block in blocks if language in ("", "text")]
    assert [line for block in plain for line in block.splitlines() if line.startswith("workbench ")] == []


def test_constraints_pin_the_versions_that_pass() -> None:
    """One exact version a line, without local suffixes, hosts or paths; they are the ones installed here."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins == sorted(pins)
    for pin in pins:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", pin), pin
    assert "torch==2.13.0" in pins
    for pin in ("torch", "transformers", "tokenizers", "plotly", "dash", "pytest", "ruff", "mypy"):
        wanted = next(line.partition("==")[2] for line in pins if line.partition("==")[0] == pin)
        try:
            assert version(pin).partition("+")[0] == wanted
        except PackageNotFoundError:  # a run-time environment has no developer's tools
            assert pin in ("ruff", "mypy")


@pytest.mark.parametrize("file", ["Makefile", ".ci/run", "constraints.txt"])
def test_no_address_is_written_down(file: str) -> None:
    """Where packages come from is the user's pip configuration, on every machine another."""
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.findall(r"index-url|find-links|://|/home/|/root/", text) == []
