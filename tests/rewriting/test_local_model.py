"""A local model as an engine: what each prompt gets alone, in any company, and after a stop."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.rewriting.written import PERSON, make_people
from workbench.errors import WorkbenchError
from workbench.recipes.recipe import TokensRecipe
from workbench.rewriting.engines import Answer, Manner, Request
from workbench.rewriting.local_model import LocalModel, encode_prompt, load_local
from workbench.rewriting.prompts import Prompt, load_prompts
from workbench.tokens.tokenizers import make_tokenizer


def any_text(*, restrict: bool) -> TokensRecipe:
    return TokensRecipe(tokenizer="bpe", vocabulary_size=400, restrict=restrict)  # type: ignore[call-arg]


@cache
def make_model() -> tuple[LlamaForCausalLM, object]:
    """A random network whose answers end after some tokens, and a tokenizer that reads any text."""
    corpus = make_people()
    tokenizer = make_tokenizer(any_text(restrict=False), corpus.texts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=900, use_cache=False,
                eos_token_id=tokenizer.eos_token_id, initializer_range=0.4,
            )
        ).eval()  # fmt: skip
        with torch.no_grad():
            model.lm_head.weight[tokenizer.eos_token_id] *= 2
    return model, tokenizer


def requests(number: int) -> list[Request]:
    """Prompts of different lengths."""
    files, schema = load_prompts(), make_people().schema
    return [
        Request(n, 0, 0, files.make(schema, PERSON, n, 0, 0, words=(24, 150)), 1000 + n)
        for n in range(number)
    ]


def answers(asked: list[Request], manner: Manner, batch: int) -> dict[int, Answer]:
    found: dict[int, Answer] = {}
    model, tokenizer = make_model()
    engine = LocalModel(model, tokenizer, manner, batch)  # type: ignore[arg-type]

    def keep(request: Request, answer: Answer) -> None:
        assert request.entity not in found
        found[request.entity] = answer

    engine.run(asked, keep, lambda request: True)
    return found


def test_greedy_answers_are_those_of_transformers_for_each_prompt_alone() -> None:
    model, tokenizer = make_model()
    asked = requests(7)
    found = answers(asked, Manner(0.0, 1.0, 30), 4)
    lengths = set()
    for request in asked:
        ids = encode_prompt(tokenizer, request.prompt)  # type: ignore[arg-type]
        with torch.inference_mode():
            said = model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                max_new_tokens=30,
                do_sample=False,
                use_cache=True,
                pad_token_id=1,
            )[0, len(ids) :]
        text = tokenizer.decode(said, skip_special_tokens=True)  # type: ignore[attr-defined]
        ended = bool(said[-1] == tokenizer.eos_token_id)  # type: ignore[attr-defined]
        assert found[request.entity] == Answer(text, ended, len(ids), len(said))
        lengths.add(len(said))
    assert len(lengths) > 1  # rows left the batch at different steps


def test_drawn_answers_follow_from_the_seed_whatever_the_company() -> None:
    asked = requests(6)
    manner = Manner(1.0, 0.9, 25)
    alone, together = answers(asked, manner, 1), answers(asked, manner, 6)
    assert alone == together
    others = [Request(r.entity, 0, 0, r.prompt, r.seed + 1) for r in asked]
    changed = answers(others, manner, 6)
    assert sum(changed[n].text != together[n].text for n in range(6)) >= 4


def test_what_is_drawn_has_the_shares_of_the_softmax() -> None:
    model, tokenizer = make_model()
    engine = LocalModel(model, tokenizer, Manner(0.5, 0.8, 10), 1)  # type: ignore[arg-type]
    logits_1V = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])) * 0.5
    drawn = [int(engine._draw(logits_1V, [torch.Generator().manual_seed(seed)])[0]) for seed in range(4000)]
    shares = np.bincount(drawn, minlength=4) / 4000
    # the third is not among those that make up .8, and is left out with the fourth
    assert shares[2:].tolist() == [0.0, 0.0]
    assert shares[0] == pytest.approx(0.625, abs=0.03)


def test_a_model_that_is_not_there_and_a_prompt_too_long_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="cannot be opened"):
        load_local(str(tmp_path / "nothing"), Manner(), 1, "cpu")
    long = Request(0, 0, 0, Prompt("", "word " * 2000, ()), 0)
    with pytest.raises(WorkbenchError, match="fills the model's context of 900; shorten the prompts"):
        answers([long], Manner(), 1)


def test_a_prompt_that_the_vocabulary_cannot_write_is_refused() -> None:
    """What a prompt leaves out without a word, no answer can state."""
    tokenizer = make_tokenizer(any_text(restrict=True), make_people().texts)
    with pytest.raises(WorkbenchError, match="holds the word 'Zoë', which this vocabulary cannot write"):
        encode_prompt(tokenizer, Prompt("", "Zoë", ()))
