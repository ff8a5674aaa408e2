"""Damaged model folders: whatever byte is changed, the same weights or one sentence, never a traceback.

The weights are compared with those that were saved; a config may describe another network, and then does not fill it.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.activations.tiny_models import make_tiny, random_ids
from tests.fuzz.mutations import each, mutate, mutate_text, opened
from tests.tokens.test_spans import make_bytes
from workbench.errors import WorkbenchError
from workbench.probing.query_table import load_queries
from workbench.studies.loading import load_model
from workbench.studies.series import find_series
from workbench.studies.weight_files import read_header, read_weight_map
from workbench.tokens.config_file import read_config
from workbench.tokens.opening import load_tokenizer
from workbench.tokens.table import read_table


@pytest.mark.parametrize("seeds", each(few=12))
def test_an_index_and_a_header(seeds: range, tmp_path: Path) -> None:
    make_tiny("llama").save_pretrained(tmp_path, max_shard_size="30KB")
    index, shard = tmp_path / "model.safetensors.index.json", next(tmp_path.glob("model-*.safetensors"))
    kept = {index: index.read_bytes(), shard: shard.read_bytes()}
    for seed in seeds:
        for file, content in kept.items():
            file.write_bytes(mutate(content, seed))
            try:
                read_weight_map(tmp_path)
                found = read_header(shard)
                assert isinstance(found, dict | str), seed
            except WorkbenchError as error:
                assert "\n" not in str(error), seed
            file.write_bytes(content)


@pytest.mark.parametrize("seeds", each(200, few=12))
def test_a_config(seeds: range, tmp_path: Path) -> None:
    """A config that still opens may describe another network; then the weights do not fill it, or it is the same."""
    model = make_tiny("llama")
    model.save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    content, ids = config.read_bytes(), random_ids()
    for seed in seeds:
        config.write_bytes(mutate(content, seed))
        try:
            opened = load_model(find_series(tmp_path)[0])
        except WorkbenchError as error:
            assert "\n" not in str(error), seed
        else:
            assert opened.num_parameters() > 0, seed
            assert torch.equal(opened.get_input_embeddings().weight, model.get_input_embeddings().weight), (
                seed
            )
    config.write_bytes(content)
    with torch.no_grad():
        assert torch.equal(load_model(find_series(tmp_path)[0])(ids).logits, model(ids).logits)


@pytest.mark.parametrize("seeds", each(few=12))
def test_a_tokenizer_and_a_table(seeds: range, tmp_path: Path) -> None:
    tokenizer, kept = make_bytes(), tmp_path / "tokenizer"
    tokenizer.save_pretrained(str(kept))
    table = tmp_path / "table.csv"
    rows = b"text,label\nOslo lies here,a\nLima lies there,b\n"
    content = (kept / "tokenizer.json").read_bytes()
    for seed in seeds:
        changed = tmp_path / "changed"
        shutil.rmtree(changed, ignore_errors=True)
        shutil.copytree(kept, changed)
        (changed / "tokenizer.json").write_bytes(mutate(content, seed))
        table.write_bytes(mutate(rows, seed))
        for door in (lambda: load_tokenizer(changed), lambda: read_table(table, tokenizer)):  # noqa: B023
            try:
                door()
            except WorkbenchError as error:
                assert "\n" not in str(error), seed


@pytest.mark.parametrize("seeds", each(few=12))
def test_weights_by_a_damaged_index(seeds: range, tmp_path: Path) -> None:
    """An index that opens leads to the weights that were saved, or is refused."""
    model = make_tiny("llama")
    model.save_pretrained(tmp_path, max_shard_size="30KB")
    index = tmp_path / "model.safetensors.index.json"
    content, wanted = index.read_bytes(), model.state_dict()
    for seed in seeds:
        index.write_bytes(mutate_text(content, seed))
        found = opened(lambda: load_model(find_series(tmp_path)[0]).state_dict(), seed)
        if found is not None:
            assert found.keys() == wanted.keys(), seed
            assert all(torch.equal(found[name], wanted[name]) for name in wanted), seed


@pytest.mark.parametrize("seeds", each(few=12))
@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_words_of_a_config(file: str, seeds: range, tmp_path: Path) -> None:
    """What opens states what the file states to JSON's own reader; all else is one sentence."""
    make_tiny("llama").save_pretrained(tmp_path)
    make_bytes().save_pretrained(str(tmp_path))
    path = tmp_path / file
    content = path.read_bytes()
    door = {"config.json": read_config, "tokenizer_config.json": load_tokenizer}[file]
    for seed in seeds:
        path.write_bytes(mutate_text(content, seed))
        found = opened(lambda: door(tmp_path), seed)
        if found is None or file != "config.json":
            continue
        plain = json.loads(path.read_text("utf-8"))
        for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "rms_norm_eps"):
            if key in plain:
                assert getattr(found, key) == plain[key], (seed, key)


@pytest.mark.parametrize("seeds", each(few=12))
def test_a_table_of_queries(seeds: range, tmp_path: Path) -> None:
    """Every row that is read is a row of the file, in its order."""
    path, tokenizer = tmp_path / "queries.jsonl", make_bytes()
    rows = [
        {"prefix": f"Anna{n} lives", "query": "Anna", "label": f"{n % 2}", "split": ("train", "test")[n // 2]}
        for n in range(4)
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    for seed in seeds:
        path.write_bytes(mutate_text(content, seed))
        found = opened(lambda: load_queries(path, tokenizer, 258, 64), seed)
        if found is not None:
            lines = path.read_bytes().decode("utf-8-sig").splitlines()
            stated = [json.loads(line)["label"] for line in lines if line.strip()]
            assert [found.classes[label] for label in found.label_Q] == stated, seed
