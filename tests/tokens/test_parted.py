"""An answer right behind a word may fuse with it: refused, where the tokens would be others than those taught."""

from dataclasses import replace

import pytest

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import TokensRecipe
from workbench.tasks.questions import Question
from workbench.tokens.encoding import encode_questions
from workbench.tokens.tokenizers import make_tokenizer
from workbench.worlds.biographies.schema import SCHEMA

READ = ["thisOslo isOs is Answer: Oslo. Answer:Oslo.", "isOs isOs isOs", "Ann Lee lives: in Os."]
ASKED = Question(0, "birth_city", "train", "Ann Lee Answer:", "Oslo")


@pytest.mark.parametrize("prompt", ["Ann Lee Answer:", "Ann Lee lives in:", "Ann Lee lives in"])
def test_the_answer_keeps_its_tokens_where_they_stay_apart(prompt: str) -> None:
    tokenizer = make_tokenizer(TokensRecipe(tokenizer="bpe", vocabulary_size=330), READ)  # type: ignore[call-arg]
    questions = [ASKED, replace(ASKED, prompt=prompt)]
    encoded = encode_questions(tokenizer, questions, SCHEMA, space=False)
    one, two = (encoded.text_ids(n)[encoded.answer_start[n] :].tolist() for n in range(2))
    assert one == two


def test_a_prompt_that_fuses_with_the_answer_is_refused_and_only_without_a_space() -> None:
    tokenizer = make_tokenizer(TokensRecipe(tokenizer="bpe", vocabulary_size=330), READ)  # type: ignore[call-arg]
    assert "ĠisOs" in tokenizer.get_vocab()
    questions = [ASKED, replace(ASKED, prompt="Ann Lee is")]
    encode_questions(tokenizer, questions, SCHEMA)
    with pytest.raises(
        WorkbenchError,
        match=r"Without a space the answer 'Oslo' is read as one word with the end of its question 'Ann Lee is'; end "
        r"the question in a mark, such as 'Answer:'\.",
    ):
        encode_questions(tokenizer, questions, SCHEMA, space=False)
