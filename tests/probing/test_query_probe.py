"""The probe with a query in the text: packed queries are what separate rows are, planted answers are found."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.probing.planted import CPU, VOCABULARY, probe_settings, tiny_model
from workbench.errors import WorkbenchError
from workbench.probing.embedding_probe import ProbeParts
from workbench.probing.query_probe import (
    Queries,
    by_text,
    fit_query_probe,
    join_names,
    measure_unit,
    pack_rows,
    read_rows,
    read_states,
)
from workbench.probing.query_scores import LEAST_SPREAD, score_queries
from workbench.probing.query_table import load_queries

N_TEXTS = 120


def planted_queries(seed: int = 0) -> Queries:
    """Texts of pairs `name value`; a name behind a prefix asks whether 20 has been said in it."""
    rng = np.random.default_rng(seed)
    texts, text_Q, place_Q, asked, label_Q = [], [], [], [], []
    for number in range(N_TEXTS):
        names, values = rng.permutation(np.arange(2, 10)), np.full(8, 21)
        values[rng.integers(8)] = 20
        texts.append(np.stack([names, values], 1).reshape(-1))
        for _ in range(4):
            place, which = int(rng.integers(1, 8)), int(rng.integers(8))
            text_Q.append(number)
            place_Q.append(2 * place)
            asked.append(join_names([[int(names[which])]], VOCABULARY))
            label_Q.append(int((values[:place] == 20).any()))
    train_Q = np.array(text_Q) < N_TEXTS * 0.7
    return Queries(
        texts, np.array(text_Q), np.array(place_Q), asked, np.array(label_Q), train_Q, ("no", "yes")
    )


@pytest.mark.parametrize("architecture", ["gpt2", "gpt2-rotary", "llama"])
@pytest.mark.parametrize("layer", [None, 1])
def test_packed_queries_are_what_rows_of_their_own_are(architecture: str, layer: int | None) -> None:
    queries = planted_queries()
    model = tiny_model(architecture)  # type: ignore[arg-type]
    parts = ProbeParts([2], 32, VOCABULARY + 3, probe_settings(rank=4))
    with torch.no_grad():
        parts.tokens_VX.normal_()
    members = np.arange(12)
    together = pack_rows(queries, by_text(queries, members))
    apart = pack_rows(queries, [members[n : n + 1] for n in range(12)])
    with torch.inference_mode():
        packed_QC = read_rows(parts, model, CPU, together, layer)
        single_QC = read_rows(parts, model, CPU, apart, layer)
        for n, q in enumerate(together.query_Q):  # and what the plain network gives without any mask
            ids = np.concatenate([queries.texts[queries.text_Q[q]][: queries.place_Q[q]], queries.asked[q]])
            plain = pack_rows(queries, [np.array([q])])
            plain = replace(
                plain,
                ids_BT=torch.from_numpy(ids)[None],
                position_BT=torch.arange(len(ids))[None],
                sees_BTT=torch.ones(1, len(ids), len(ids), dtype=torch.bool).tril(),
                end_Q=torch.tensor([len(ids) - 1]),
            )
            torch.testing.assert_close(packed_QC[n : n + 1], read_rows(parts, model, CPU, plain, layer))
    torch.testing.assert_close(packed_QC, single_QC)
    assert together.ids_BT.numel() < apart.ids_BT.numel()


def plain_logits(model, parts: ProbeParts, queries: Queries, q: int, dtype: torch.dtype) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """The probe of Part 2.1 written out for one query: a row of its own, no mask, no packing, embeddings by hand."""
    ids = [*queries.texts[queries.text_Q[q]][: queries.place_Q[q]].tolist(), *queries.asked[q].tolist()]
    table_VD = model.get_input_embeddings().weight
    unit = measure_unit(model)
    vectors = []
    for token in ids:
        known_D = table_VD[token] if token < len(table_VD) else table_VD.mean(0)
        update_D = sum(parts.tokens_VX[token, r] * parts.directions_KRD[0, r] for r in range(parts.rank))
        vectors.append(known_D + unit * update_D)
    last_D = model.base_model(inputs_embeds=torch.stack(vectors)[None]).last_hidden_state[0, -1]
    normed_D = (last_D - last_D.mean()) / (last_D.var(unbiased=False) + 1e-5).sqrt()
    logits: torch.Tensor = (normed_D * parts.scale_KD[0] + parts.shift_KD[0]) @ parts.head_KDC[
        0
    ] + parts.bias_KC[0]
    return logits.to(dtype)


def random_parts(model, rank: int = 3) -> ProbeParts:  # type: ignore[no-untyped-def]
    """A probe whose every number is drawn, none zero."""
    parts = ProbeParts([2], 32, VOCABULARY + 3, probe_settings(rank=rank), measure_unit(model))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in parts.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return parts


@pytest.mark.parametrize("architecture", ["gpt2", "gpt2-rotary", "llama"])
def test_logits_are_those_of_the_probe_written_out(architecture: str) -> None:
    model, queries = tiny_model(architecture), planted_queries()  # type: ignore[arg-type]
    parts, members = random_parts(model), np.arange(10)
    rows = pack_rows(queries, by_text(queries, members))
    with torch.inference_mode():
        fast_QC = read_rows(parts, model, CPU, rows, None)
        slow_QC = torch.stack([plain_logits(model, parts, queries, q, torch.float32) for q in rows.query_Q])
    torch.testing.assert_close(fast_QC, slow_QC, rtol=1e-4, atol=1e-5)


def test_gradients_of_every_part_are_those_of_finite_differences() -> None:
    """In float64, through masks, positions and all queries at once; against the probe written out."""
    model, queries = tiny_model().double(), planted_queries()
    parts, members = random_parts(model).double(), np.arange(6)
    rows = pack_rows(queries, by_text(queries, members))
    labels_Q = torch.from_numpy(queries.label_Q[rows.query_Q])
    states_QD = read_states(parts, model, CPU, rows, None)
    loss = torch.nn.functional.cross_entropy(parts.classify(states_QD.double()[None])[0], labels_Q)
    loss.backward()

    @torch.no_grad()
    def slow_loss() -> float:
        logits_QC = torch.stack([plain_logits(model, parts, queries, q, torch.float64) for q in rows.query_Q])
        return float(torch.nn.functional.cross_entropy(logits_QC, labels_Q))

    for name, parameter in parts.named_parameters():
        assert parameter.grad is not None
        at = int(parameter.grad.abs().argmax())  # where it matters most; an unused token's gradient is zero
        flat, expected, step = parameter.detach().view(-1), float(parameter.grad.view(-1)[at]), 1e-3
        before = float(flat[at])
        flat[at] = before + step
        above = slow_loss()
        flat[at] = before - step
        below = slow_loss()
        flat[at] = before
        assert (above - below) / (2 * step) == pytest.approx(expected, rel=1e-3), name


def test_what_the_prefix_says_is_found_and_shuffled_labels_are_not() -> None:
    """The queries of one text have different answers, so each is read behind its own prefix."""
    queries = planted_queries()
    settings = probe_settings(rank=8, steps=60)
    test = np.flatnonzero(~queries.train_Q)
    found = fit_query_probe(tiny_model(), queries, settings, CPU)
    rng = np.random.default_rng(0)
    shuffled = replace(queries, label_Q=rng.permutation(queries.label_Q))
    not_found = fit_query_probe(tiny_model(), shuffled, settings, CPU).predict(shuffled, test)
    majority = np.bincount(queries.label_Q[test]).max() / len(test)
    assert (found.predict(queries, test) == queries.label_Q[test]).mean() > 0.95 > majority + 0.3
    assert found.spread > 0.1
    assert (not_found == shuffled.label_Q[test]).mean() < majority + 0.1


@pytest.mark.parametrize("scale", [0.1, 20.0])
def test_a_rate_means_the_same_for_small_and_large_embeddings(scale: float) -> None:
    """An update counted in absolute numbers drowns small embeddings: the read state no longer follows the text."""
    model, queries = tiny_model(), planted_queries()
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(scale)
        for name, parameter in model.named_parameters():
            if name.endswith(("attention.dense.weight", "mlp.dense_4h_to_h.weight")):
                parameter.mul_(scale)
    fitted = fit_query_probe(model, queries, probe_settings(rank=8, steps=60), CPU)
    test = np.flatnonzero(~queries.train_Q)
    assert (fitted.predict(queries, test) == queries.label_Q[test]).mean() > 0.9


def test_a_probe_that_drowns_what_it_reads_says_so() -> None:
    """At a rate far too high, the update of [END] is all there is at [END]."""
    fitted = fit_query_probe(
        tiny_model(), planted_queries(), probe_settings(rank=8, steps=30, lr_embedding=30.0), CPU
    )
    assert fitted.spread < LEAST_SPREAD


def test_the_network_is_left_as_it_was_and_the_seed_decides_the_probe() -> None:
    model, queries = tiny_model(), planted_queries()
    before = {name: p.clone() for name, p in model.named_parameters()}
    settings = probe_settings(rank=2, steps=3)
    one, again = (fit_query_probe(model, queries, settings, CPU).losses for _ in range(2))
    assert (one == again).all()
    assert all(torch.equal(p, before[name]) and p.requires_grad for name, p in model.named_parameters())


def test_one_class_is_refused() -> None:
    queries = planted_queries()
    same = replace(queries, label_Q=np.zeros_like(queries.label_Q))
    with pytest.raises(WorkbenchError) as refusal:
        fit_query_probe(tiny_model(), same, probe_settings(steps=1), CPU)
    assert str(refusal.value) == (
        "A probe needs two classes to tell apart, but the train half has only 'no'; "
        "ask about more texts, or about something that varies."
    )
    with pytest.raises(WorkbenchError, match=r"^All queries are in the train half; put some"):
        everything = replace(queries, train_Q=np.ones_like(queries.train_Q))
        fit_query_probe(tiny_model(), everything, probe_settings(steps=1), CPU)
    with pytest.raises(WorkbenchError, match=r"^Layer 9 does not exist; the model has layers 0 to 2\.$"):
        fit_query_probe(tiny_model(), queries, probe_settings(steps=1), CPU, layer=9)


def test_scores_by_hand() -> None:
    said, label = np.array([0, 0, 1, 1, 0, 0]), np.array([0, 0, 0, 1, 1, 0])
    steps = {"step": (np.array([0, 0, 1, 1, 1, 0]), [0, 1, 2])}
    scores = score_queries(said, label, ("no", "yes"), steps, np.array([7, 7, 7, 9, 9, 9]))
    assert (scores["accuracy"], scores["n"], scores["chance"]) == (
        pytest.approx(4 / 6),
        6,
        pytest.approx(4 / 6),
    )
    assert scores["balanced"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    # Six queries of two texts are no six independent answers: Wilson's interval of 4/3 right of 2.
    assert scores["n_texts"] == 2
    assert (scores["ci_low"], scores["ci_high"]) == (
        pytest.approx(0.1594, abs=1e-4),
        pytest.approx(0.9547, abs=1e-4),
    )
    np.testing.assert_allclose(scores["by_label"][1], [0.75, 0.5])
    np.testing.assert_allclose(scores["by_step"][1], [1, 1 / 3, np.nan])
    np.testing.assert_array_equal(scores["n_by_step"][1], [3, 3, 0])


def test_properties_of_queries_have_a_majority_each() -> None:
    """A city is `a` or `b`, a year `c` or `d`: who knows what is asked is right more often than the majority."""
    said, label = np.array([0, 0, 0, 2, 2]), np.array([0, 0, 1, 2, 3])
    properties = np.array(["city", "city", "city", "year", "year"])
    scores = score_queries(said, label, tuple("abcd"), {}, np.array([1, 2, 3, 1, 2]), properties)
    assert (scores["accuracy"], scores["chance"]) == (pytest.approx(3 / 5), pytest.approx(3 / 5))
    assert scores["n_by_property"] == scores["n_texts_by_property"] == ("property", [3, 2])
    np.testing.assert_allclose(scores["accuracy_by_property"][1], [2 / 3, 1 / 2])
    np.testing.assert_allclose(scores["chance_by_property"][1], [2 / 3, 1 / 2])
    np.testing.assert_allclose(scores["balanced_by_property"][1], [1 / 2, 1 / 2])
    assert score_queries(said, label, tuple("abcd"), {}, np.arange(5))["chance"] == pytest.approx(2 / 5)


# --- a table of the user's own


ROWS = [
    {"prefix": "the cat sat", "query": "cat", "label": "yes"},
    {"prefix": "the cat sat", "query": "dog", "label": "no"},
    {"prefix": "a dog ran", "query": "dog", "other": "cat", "label": "yes", "split": "train"},
]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def word_tokenizer():  # type: ignore[no-untyped-def]
    from workbench.recipes.recipe import TokensRecipe
    from workbench.tokens.tokenizers import make_tokenizer

    return make_tokenizer(TokensRecipe(), ["the a cat dog sat ran"])


def test_a_table_gives_prefix_query_and_label(tmp_path: Path) -> None:
    tokenizer = word_tokenizer()
    queries = load_queries(write(tmp_path / "q.jsonl", ROWS), tokenizer, len(tokenizer), 64)
    assert [tokenizer.decode(text) for text in queries.texts] == ["the cat sat", "a dog ran"]
    assert queries.classes == ("no", "yes") and queries.label_Q.tolist() == [1, 0, 1]
    assert queries.place_Q.tolist() == [3, 3, 3]
    cat, dog = (tokenizer.convert_tokens_to_ids(word) for word in ("cat", "dog"))
    v = len(tokenizer)
    assert [ids.tolist() for ids in queries.asked] == [
        [v, cat, v + 2],
        [v, dog, v + 2],
        [v, dog, v + 1, cat, v + 2],
    ]
    assert queries.train_Q[0] == queries.train_Q[1] and queries.train_Q[2]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"prefix": "the cat", "label": "yes"}], "line 1 needs the texts prefix, query, label."),
        (
            [{**ROWS[0], "spilt": "train"}],
            "line 1 has the unknown key 'spilt' (known: prefix, query, label, other, property, split).",
        ),
        (
            [{**ROWS[0], "property": "animal"}, ROWS[1]],
            "row 2 has no property; give every query one, or none.",
        ),
        ([{**ROWS[0], "property": 3}], "line 1: property is a text, not 3."),
        ([{**ROWS[0], "split": "dev"}], "line 1: the split is `train` or `test`, not 'dev'."),
        (
            [{**ROWS[0], "split": "train"}, {**ROWS[1], "split": "test"}],
            "row 2: its prefix is in the other half already; give all queries of a text one split.",
        ),
        (
            [{**ROWS[0], "prefix": "cat " * 90}],
            "row 1: prefix and query have 93 tokens but the model reads 64; shorten it.",
        ),
    ],
)
def test_faults_of_a_table_are_named(tmp_path: Path, rows: list[dict[str, str]], message: str) -> None:
    file, tokenizer = write(tmp_path / "q.jsonl", rows), word_tokenizer()
    with pytest.raises(WorkbenchError) as refusal:
        load_queries(file, tokenizer, len(tokenizer), 64)
    assert str(refusal.value) in (f"{file}, {message}", f"{file} {message}")


def test_a_name_beyond_the_vocabulary_is_refused(tmp_path: Path) -> None:
    file, tokenizer = write(tmp_path / "q.jsonl", [{**ROWS[0], "query": "Zanzibar cat"}]), word_tokenizer()
    with pytest.raises(WorkbenchError, match="Zanzibar"):
        load_queries(file, tokenizer, len(tokenizer), 64)
