"""Damaged model folders: whatever byte is changed, the same weights or one sentence, never a traceback.

Few mutations here; all of them behind the slow marker. The seed of each is in the message of a failure.
"""

import random
import shutil
from pathlib import Path

import pytest
import torch

from tests.activations.tiny_models import make_tiny, random_ids
from tests.tokens.test_spans import make_bytes
from workbench.errors import WorkbenchError
from workbench.studies.loading import load_model
from workbench.studies.series import find_series
from workbench.studies.weight_files import read_header, read_weight_map
from workbench.tokens.opening import load_tokenizer
from workbench.tokens.table import read_table


def mutate(content: bytes, seed: int) -> bytes:
    """One to three bytes changed, put in or taken out, or the end cut off."""
    rng, data = random.Random(seed), bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data)) if data else 0
        match rng.randrange(4):
            case 0 if data:
                data[at] = rng.randrange(256)
            case 1:
                data[at:at] = bytes([rng.randrange(256)])
            case 2 if data:
                del data[at]
            case _:
                del data[at:]
    return bytes(data)


def each(number: int) -> list[object]:
    """A few seeds for every run of the tests, `number` behind the slow marker."""
    return [range(12), pytest.param(range(12, number), marks=pytest.mark.slow)]


@pytest.mark.parametrize("seeds", each(2000))
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


@pytest.mark.parametrize("seeds", each(200))
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


@pytest.mark.parametrize("seeds", each(2000))
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
