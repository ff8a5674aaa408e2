"""Tokenizers: a closed word vocabulary, byte-level BPE trained on the corpus, or an existing GPT-2 one.

All are ordinary Hugging Face tokenizers (`PreTrainedTokenizerFast`), saved as ordinary files beside each
checkpoint. The same word gets the same ids wherever it stands in a text, so a value reads the same in a
biography and in an answer (`check_values_tokenize_alike`).
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import TokensRecipe
from workbench.tokens.lexicon import count_words, spell_out, text_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END = "<|endoftext|>"
PAD = "<|pad|>"
MASK = "<|mask|>"
SPECIAL_TOKENS = [END, PAD, MASK]


Read = Iterable[str] | Counter[str]  # texts, or their words with how often each stands there (`count_words`)


def make_tokenizer(recipe: TokensRecipe, texts: Read) -> "PreTrainedTokenizerFast":
    """Make the recipe's tokenizer for a corpus; `texts` is everything the model will ever read.

    Its distinct words decide the vocabulary, their counts its order; no text is kept.
    """
    words = _count(texts)
    match recipe.tokenizer:
        case "word":
            return wrap_tokenizer(train_word_tokenizer(words))
        case "bpe":
            tokenizer = train_bpe_tokenizer(words, recipe.vocabulary_size)
        case "gpt2":
            tokenizer = _load_gpt2(recipe.source)
    return wrap_tokenizer(restrict_bpe(tokenizer, words) if recipe.restrict else tokenizer)


def _count(texts: Read) -> Counter[str]:
    return texts if isinstance(texts, Counter) else count_words(texts)


def train_word_tokenizer(texts: Read) -> Tokenizer:
    """A closed vocabulary: words and punctuation marks, most frequent first; anything else is an error later."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    tokenizer.decoder = decoders.WordPiece(prefix="\u0000", cleanup=True)
    counts: Counter[str] = Counter()
    for word, number in _count(texts).items():
        for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text_of(word)):
            counts[part] += number
    by_number = sorted(counts, key=lambda part: (-counts[part], part))
    vocabulary = {part: i for i, part in enumerate(dict.fromkeys([*SPECIAL_TOKENS, *by_number]))}
    tokenizer.model = models.WordLevel(vocabulary, unk_token=None)
    tokenizer.add_special_tokens([tokenizers.AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    return tokenizer


def train_bpe_tokenizer(texts: Read, vocabulary_size: int) -> Tokenizer:
    """Byte-level BPE as in GPT-2, learned on the corpus; a space goes before the first word too."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(spell_out(_count(texts)), trainer)
    return tokenizer


def restrict_bpe(tokenizer: Tokenizer, texts: Read) -> Tokenizer:
    """Keep only the ids `texts` use, and the merges that build them; ids are renumbered in their old order.

    It removes most of the output layer (the follow-up paper keeps 3,275 of GPT-2's 50,257 ids). The result is
    verified: every word must give the same tokens before and after.
    """
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    if content["model"]["type"] != "BPE":
        raise WorkbenchError(
            f"Only BPE tokenizers can be restricted, this one is {content['model']['type']}; "
            "set tokens.restrict = false."
        )
    words = [text_of(word) for word in _count(texts)]
    used = {token for encoding in tokenizer.encode_batch(words) for token in encoding.tokens}
    merges = [_pair(merge) for merge in content["model"]["merges"]]
    parts = {left + right: (left, right) for left, right in reversed(merges)}  # the first merge wins
    keep, open_tokens = set(SPECIAL_TOKENS), list(used)
    while open_tokens:
        token = open_tokens.pop()
        if token not in keep:
            keep.add(token)
            open_tokens += parts.get(token, ())
    old_vocabulary: dict[str, int] = content["model"]["vocab"]
    kept = sorted((token for token in old_vocabulary if token in keep), key=old_vocabulary.__getitem__)
    content["model"]["vocab"] = {token: i for i, token in enumerate(kept)}
    content["model"]["merges"] = [
        [left, right] for left, right in merges if {left, right, left + right} <= keep
    ]
    content["added_tokens"] = [
        {**added, "id": content["model"]["vocab"].get(added["content"], len(kept) + i)}
        for i, added in enumerate(content["added_tokens"])
    ]
    restricted = Tokenizer.from_str(json.dumps(content))
    before, after = tokenizer.encode_batch(words), restricted.encode_batch(words)
    for text, old, new in zip(words, before, after, strict=True):
        if old.tokens != new.tokens:
            raise WorkbenchError(
                f"Restricting the vocabulary changes the tokens of {text[:60]!r}; set tokens.restrict = false."
            )
    return restricted


def _pair(merge: list[str] | str) -> tuple[str, str]:
    left, right = merge if isinstance(merge, list) else merge.split(" ")
    return left, right


def _load_gpt2(source: str) -> Tokenizer:
    path = Path(source)
    if path.is_dir():
        if not (path / "tokenizer.json").is_file():
            raise WorkbenchError(f"The tokenizer folder {source} has no tokenizer.json.")
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    else:
        try:
            tokenizer = Tokenizer.from_pretrained(source)
        except Exception as error:
            raise WorkbenchError(
                f"The tokenizer {source!r} is neither a local folder nor reachable on the hub; "
                "set tokens.source to a folder with its tokenizer.json."
            ) from error
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)  # offsets without the leading space
    tokenizer.add_special_tokens([tokenizers.AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    return tokenizer


def wrap_tokenizer(tokenizer: Tokenizer) -> "PreTrainedTokenizerFast":
    """A Hugging Face tokenizer with this project's special tokens."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=PAD,
        mask_token=MASK,
        clean_up_tokenization_spaces=False,
    )
