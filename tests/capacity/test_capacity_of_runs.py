"""Capacity of real networks: losses against a plain loop, contexts that nothing leaks into, runs end to end."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from workbench.capacity.contexts import NAME, find_facts, make_contexts, scored_attributes
from workbench.capacity.losses import Spans, span_losses
from workbench.capacity.measure import CapacityRequest, capacity_of_study, make_material, measure_capacity
from workbench.capacity.people import People, count_people, describe_people
from workbench.errors import WorkbenchError
from workbench.extraction.evaluation import EvaluationRequest, evaluate
from workbench.extraction.finetuning import finetune
from workbench.extraction.settings import choose_settings
from workbench.facts.schema import Attribute, Schema
from workbench.minutes import watching
from workbench.recipes.recipe import make_recipe
from workbench.results.storing import load_results
from workbench.studies.corpus import make_corpus
from workbench.training.devices import Execution
from workbench.training.loop import train
from workbench.worlds.biographies.schema import SCHEMA
from workbench.worlds.entries import Entry

CPU = Execution("cpu", False, "sdpa", False)
SMALL = {
    "name": "bits",
    "people": {
        "number": 40,
        "pool_sizes": {"birth_city": 6, "university": 6, "major": 6, "company": 6, "birth_year": 4, "birth_day": 5},
    },
    "biographies": {"augmentation": "multi4+permute", "templates": 6},
    "model": {"n_layers": 2, "d_model": 48, "n_heads": 2, "max_length": 96},
    "training": {
        "exposures": 200, "rows_per_step": 40, "lr": 5e-3, "precision": "fp32", "checkpoints": "linear:1",
        "evaluations": 1,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(make_recipe(SMALL), tmp_path_factory.mktemp("capacity") / "run")


def test_determined_attributes_are_no_facts_of_their_own() -> None:
    assert scored_attributes(SCHEMA) == ("birth_date", "birth_city", "university", "major", "company")


def test_nothing_before_a_scored_fact_tells_it() -> None:
    corpus = make_corpus(make_recipe(SMALL))
    seen = 0
    for entry in corpus.entries:
        facts = find_facts(entry, corpus.schema, has_pronouns=True)
        if "company" in facts:
            assert entry.values["company_city"][0] > entry.values["company"][0]
            seen += 1
        for fact, (start, end) in facts.items():
            said = entry.text[start:end]
            if fact in SCHEMA:
                assert said == corpus.entities[entry.entity].values[fact]
                assert entry.names[0][0] < start
            if fact == "name":
                assert said == corpus.entities[entry.entity].name
                assert start < min(span[0] for span in entry.values.values())
            if fact == "pronoun":
                assert start == min(span[0] for span in entry.pronouns)
    assert 0 < seen < len(corpus.entries)  # about half: the other half told the city first


def test_what_follows_by_way_of_another_attribute_tells_a_fact_too() -> None:
    """The town fixes the river and the river the sea: where the sea has been said, a town is half told."""
    schema = Schema(
        (Attribute("town"), Attribute("river", determined_by="town"), Attribute("sea", determined_by="river"))
    )
    for text, facts in (
        ("Ann is at home in Kiel. She lives by the Baltic.", {NAME, "town"}),
        ("Ann lives by the Baltic. She is at home in Kiel.", {NAME}),
    ):
        spans = {
            key: (text.index(word), text.index(word) + len(word))
            for key, word in (("town", "Kiel"), ("sea", "Baltic"))
        }
        entry = Entry(0, 0, text, ((0, 3),), (), spans, {})
        assert set(find_facts(entry, schema, has_pronouns=False)) == facts


def test_losses_are_those_of_a_plain_loop(run) -> None:
    corpus = run.corpus
    contexts = make_contexts(run.tokenizer, corpus, [0, 1, 2, 3])
    from workbench.studies.loading import load_model

    model = load_model(run.checkpoint())
    found = span_losses(model, contexts.spans, CPU)
    for n in range(len(contexts.spans)):
        ids = torch.from_numpy(contexts.spans.encoded.text_ids(int(contexts.spans.texts[n])).astype(np.int64))
        with torch.no_grad():
            logp = model(input_ids=ids[None]).logits[0].log_softmax(-1)
        own = range(int(contexts.spans.starts[n]), int(contexts.spans.ends[n]))
        plain = -sum(logp[t - 1, ids[t]].item() for t in own)
        assert found[n] == pytest.approx(plain, abs=1e-4)


def test_the_order_of_spans_changes_nothing(run) -> None:
    from workbench.studies.loading import load_model

    spans = make_contexts(run.tokenizer, run.corpus, range(10)).spans
    model, order = load_model(run.checkpoint()), np.random.default_rng(0).permutation(len(spans))
    turned = Spans(spans.encoded, spans.texts[order], spans.starts[order], spans.ends[order])
    assert np.allclose(span_losses(model, turned, CPU), span_losses(model, spans, CPU)[order], atol=1e-5)


def test_a_uniform_model_knows_nothing_of_a_uniform_vocabulary_fact(run) -> None:
    """Equal logits: each fact costs its tokens × ln V, which is nothing known when V^tokens is the pool."""
    from workbench.studies.loading import load_model

    model = load_model(run.checkpoint())
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
    spans = make_contexts(run.tokenizer, run.corpus, range(6)).spans
    expected = (spans.ends - spans.starts) * np.log(model.config.vocab_size)
    assert np.allclose(span_losses(model, spans, CPU), expected, rtol=1e-5)


def test_a_run_learns_bits_and_never_more_than_there_are(run) -> None:
    told: list[tuple[int, int]] = []
    shares: list[float] = []
    with watching(lambda what, share, left: shares.append(share)):
        before, after = capacity_of_study(
            run, run.checkpoints, CapacityRequest(entities=40), show=lambda what, *far: told.append(far)
        )
    assert told == [(0, 2), (1, 2)] and shares.count(1.0) == 2
    assert float(before["bits"]) < 0  # an untrained model puts probability where no fact is
    assert float(after["bits"]) > 0.3 * float(after["most_bits"])
    assert float(after["bits_values"]) <= 40 * sum(np.log2([4 * 12 * 5, 6, 6, 6, 6, 3])) + 1e-6
    assert float(after["ratio"]) == pytest.approx(float(after["bits"]) / int(after["parameters"]))
    assert int(after["parameters"]) == sum(
        p.numel() for p in __import__("workbench").load_model(run.checkpoint()).parameters()
    )
    stored = load_results(run.path, "capacity", "bits")
    assert stored["bits"].values.tolist() == [float(before["bits"]), float(after["bits"])]
    again = capacity_of_study(run, run.checkpoints, CapacityRequest(entities=40))
    assert [d.attrs["created"] for d in again] == [before.attrs["created"], after.attrs["created"]]


def test_a_sample_estimates_the_whole(run) -> None:
    from workbench.studies.loading import load_model

    model = load_model(run.checkpoint())
    whole = measure_capacity(model, make_material(run, CapacityRequest(entities=40)), CPU)
    half = measure_capacity(model, make_material(run, CapacityRequest(entities=20)), CPU)
    assert abs(float(half["bits"] - whole["bits"])) < 6 * float(half["bits_se"])


def test_rows_that_only_other_entities_use_are_counted(run) -> None:
    """Where a vocabulary was not made for the texts, its used rows are those of all texts, whoever is scored."""
    tokens = run.recipe.tokens.model_copy(update={"tokenizer": "bpe", "restrict": False})
    foreign = replace(run, recipe=run.recipe.model_copy(update={"tokens": tokens}))
    whole, few = (make_material(foreign, CapacityRequest(entities=number)).used_tokens for number in (40, 2))
    assert few == whole == len({token for text in _ids_of(run) for token in text})


def _ids_of(run) -> list[list[int]]:
    end = run.tokenizer.eos_token_id
    texts = [entry.text for entry in run.corpus.entries]
    return [[end, *ids] for ids in run.tokenizer(texts, add_special_tokens=False)["input_ids"]]


def test_the_command(run, capsys) -> None:
    from typer.testing import CliRunner

    from workbench.cli import app

    answer = CliRunner().invoke(app, ["capacity", str(run.path), "--checkpoints", "all", "--entities", "40"])
    assert answer.exit_code == 0, answer.output
    assert "bits a parameter of at most" in " ".join(answer.output.split())


def test_rounded_weights_are_a_result_of_their_own(run) -> None:
    pytest.importorskip("torchao", reason="the extra `quantize` is not installed")
    from typer.testing import CliRunner

    from workbench.cli import app

    words = [
        "capacity",
        str(run.path),
        "--entities",
        "40",
        "--quantize",
        "int8,int4",
        "--json",
        "--device",
        "cpu",
    ]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    import json

    rows = {row["weights"]: row for row in json.loads(answer.output) if row["fact"] == "name"}
    assert list(rows) == ["float32", "int8", "int4"]
    plain, int8, int4 = (rows[kind]["bits"] for kind in rows)
    assert abs(int8 - plain) < 0.2 * (plain - int4)  # sixteen times finer steps
    assert {row["parameters"] for row in rows.values()} == {rows["int8"]["parameters"]}
    stored = load_results(run.path, "capacity", "bits", variant="int4")
    assert stored["bits"].values.tolist() == [int4]


def test_a_report_shows_bits(run, tmp_path) -> None:
    from workbench.report import write_report

    (last,) = capacity_of_study(run, run.checkpoints[-1:], CapacityRequest(entities=40))
    text = write_report([run.path], tmp_path / "report.html").read_text("utf-8")
    assert "How much a parameter holds" in text
    assert f"{float(last['bits']):,.0f} bits (names" in text


def test_bad_shapes_and_tokenizers_are_one_sentence(tmp_path) -> None:
    from workbench.errors import WorkbenchError
    from workbench.studies.runs import create_run

    with pytest.raises(
        WorkbenchError, match=r"diversity = 10, but 2 symbols out of 3 make only 9 strings; expected D ≤"
    ):
        make_recipe({"name": "x", "world": "values", "values": {"diversity": 10, "length": 2, "alphabet": 3}})
    merging = {
        "name": "merged", "world": "values", "tokens": {"tokenizer": "bpe", "vocabulary_size": 300},
        "values": {"entities": 20, "attributes": 1, "diversity": 4, "length": 2, "alphabet": 4},
    }  # fmt: skip
    run = create_run(make_recipe(merging), tmp_path / "run")
    with pytest.raises(
        WorkbenchError, match=r"makes \d+ tokens of 2 symbols; bits of random values need one token a"
    ):
        make_material(run, CapacityRequest())


def test_facts_are_counted_in_people_beside_the_bits(run) -> None:
    """Five of six attributes count, whatever else was asked: by more beams, or of a few entities."""
    (bits,) = capacity_of_study(run, run.checkpoints[-1:], CapacityRequest(40))
    assert count_people(run.path, bits) == People(40, None, None)
    assert describe_people(count_people(run.path, bits)) == ""
    finetune(run, run.checkpoint(), choose_settings(48, steps=3, questions_per_step=6))
    asked = {
        name: evaluate(run, request).dataset
        for name, request in {
            "none": EvaluationRequest(None),
            "lora": EvaluationRequest("lora"),
            "some": EvaluationRequest("lora", entities=4),
            "beams": EvaluationRequest(None, beams=2),
        }.items()
    }
    counted = list(scored_attributes(SCHEMA))
    people = count_people(run.path, bits)
    none = asked["none"].sel(
        attribute=counted
    )  # the halves are not of one size: entities are counted, not shares
    recited = (none["recall_whole"] * none["recall_n"]).sum("split").mean()
    answered = asked["lora"]["accuracy"].sel(attribute=counted, split="test").mean()
    assert people.memorised == pytest.approx(float(recited)) and people.memorised > 10
    assert people == People(40, people.memorised, 40 * float(answered), "lora")
    with pytest.raises(WorkbenchError, match="was made with the weights"):
        count_people(run.path, bits.assign_attrs(weights_digest="ab" * 32))
    assert describe_people(People(1500, 1492.4, 1365.5, "lora+mine")) == (
        "Counted in entities, of 1,500: memorised 1,492, extracted 1,366 (lora+mine, from the half it was not asked "
        "about)."
    )
