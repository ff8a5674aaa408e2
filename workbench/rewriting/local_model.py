"""A model of transformers as an engine: prompts side by side with a key-value cache; rows that end leave the batch.

Each row draws from a generator of its own, so an answer depends on its prompt and its seed, and on its neighbours only
by the last bits of their common matrix products; the same batch gives the same answers.

Shapes: B batch, T tokens, V vocabulary.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from workbench_models import context_length, text_config

from workbench.errors import WorkbenchError
from workbench.rewriting.engines import Answer, Keep, Manner, MayStart, Request
from workbench.rewriting.prompts import Prompt
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_model
from workbench.studies.manner import agree, tolerance
from workbench.studies.series import as_checkpoint
from workbench.tokens.opening import load_tokenizer
from workbench.tokens.spans import iterate_encodings
from workbench.training.devices import choose_device

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

LIKELIEST = (
    1024  # so many tokens at most are drawn from: sorting a whole vocabulary takes longer than a small model
)


class LocalModel:
    """An engine around a causal model and its tokenizer, on the model's device."""

    def __init__(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", manner: Manner, batch: int = 16
    ) -> None:
        self.model, self.tokenizer, self.manner, self.batch = model, tokenizer, manner, batch
        self._together: bool | None = None  # whether prompts may share a batch; tried on the first
        ends = getattr(model.generation_config, "eos_token_id", None)
        listed = ends if isinstance(ends, list) else [ends]
        self._stop = sorted({int(end) for end in [*listed, tokenizer.eos_token_id] if end is not None})
        if not self._stop:
            raise WorkbenchError(
                "The model's tokenizer has no end-of-text token, so no answer would ever end."
            )

    def count_tokens(self, prompt: Prompt) -> int:
        """Tokens of the prompt with what the chat template adds."""
        return len(encode_prompt(self.tokenizer, prompt))

    def run(self, requests: Iterable[Request], keep: Keep, may_start: MayStart) -> None:
        """Answer batch by batch, each whole or not at all; see `Engine.run`."""
        coming = iter(requests)
        while batch := list(islice(coming, self.batch)):
            if not all(may_start(request) for request in batch):
                return
            if self._together is None:
                self._together = self._try_together([self._ids_of(request) for request in batch])
            for part in [batch] if self._together else [[request] for request in batch]:
                self._answer(part, keep)

    def _ids_of(self, request: Request) -> list[int]:
        return encode_prompt(self.tokenizer, request.prompt)

    @torch.inference_mode()
    def _try_together(self, prompts: Sequence[list[int]]) -> bool:
        """Whether a prompt padded on the left beside a longer one says what it says alone.

        Raises WorkbenchError for a model that says something else where it reads on with a cache.
        """
        self._room(prompts)
        short, long = min(prompts, key=len), max(prompts, key=len)
        same = tolerance(self.model)
        ids_1T = torch.tensor([long], device=self.model.device)
        cache = self._new_cache()
        try:
            self.model(input_ids=ids_1T[:, :-1], past_key_values=cache, use_cache=True)
            on = self.model(input_ids=ids_1T[:, -1:], past_key_values=cache, use_cache=True).logits[:, -1]
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
            on = torch.full((1, 1), torch.nan)
        if not agree({"": on}, {"": self.model(input_ids=ids_1T).logits[:, -1]}, same):
            raise WorkbenchError(
                f"A model of the type {text_config(self.model.config).model_type!r} cannot be read on with a key-value "
                "cache, by which texts are written; choose another model, or name a server with --server."
            )
        alone = self.model(input_ids=torch.tensor([short], device=self.model.device)).logits[:, -1]
        ids_BT, mask_BT = self._pad([short, long])
        places_BT = (mask_BT.cumsum(-1) - 1).clamp(min=0)
        beside = self.model(input_ids=ids_BT, attention_mask=mask_BT, position_ids=places_BT).logits[:1, -1]
        return agree({"": alone}, {"": beside}, same)

    def _new_cache(self) -> Any:
        from transformers import DynamicCache

        return DynamicCache(config=self.model.config)

    def _pad(self, prompts: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask [B, T], padded on the left, so that all end together."""
        longest = max(map(len, prompts))
        ids_BT = torch.full((len(prompts), longest), self._stop[0])
        mask_BT = torch.zeros(len(prompts), longest, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids_BT[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask_BT[row, longest - len(prompt) :] = 1
        return ids_BT.to(self.model.device), mask_BT.to(self.model.device)

    def _room(self, prompts: Sequence[list[int]]) -> int:
        """How many tokens an answer may have. Raises WorkbenchError where a prompt leaves none."""
        longest = max(map(len, prompts))
        context = context_length(self.model.config)  # None: as long as there is memory
        room = self.manner.max_tokens if context is None else min(self.manner.max_tokens, context - longest)
        if room < 1:
            raise WorkbenchError(
                f"A prompt of {longest} tokens fills the model's context of {context}; shorten the prompts, or choose "
                "another model."
            )
        return room

    def _answer(self, requests: Sequence[Request], keep: Keep) -> None:
        prompts = [self._ids_of(request) for request in requests]
        room, device = self._room(prompts), self.model.device
        ids_BT, mask_BT = self._pad(prompts)
        draws = [torch.Generator().manual_seed(request.seed % 2**63) for request in requests]
        said: list[list[int]] = [[] for _ in requests]
        speaking = list(range(len(requests)))
        cache = self._new_cache()
        stop = set(self._stop)
        with torch.inference_mode():
            for step in range(room):
                places_BT = (mask_BT.cumsum(-1) - 1).clamp(min=0)
                logits_BV = self.model(
                    input_ids=ids_BT,
                    attention_mask=mask_BT,
                    position_ids=places_BT[:, -ids_BT.shape[1] :],
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                ).logits[:, -1]
                next_B = self._draw(logits_BV.float(), [draws[row] for row in speaking])
                going = []
                for place, (row, token) in enumerate(zip(speaking, next_B.tolist(), strict=True)):
                    said[row].append(token)
                    if token in stop or step + 1 == room:
                        keep(requests[row], self._finish(prompts[row], said[row], token in stop))
                    else:
                        going.append(place)
                if not going:
                    return
                if len(going) < len(speaking):
                    chosen = torch.tensor(going, device=device)
                    cache.batch_select_indices(chosen)
                    mask_BT, next_B = mask_BT[chosen], next_B[chosen.cpu()]
                    speaking = [speaking[place] for place in going]
                ids_BT = next_B[:, None].to(device)
                mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(going), 1)], 1)

    def _draw(self, logits_BV: torch.Tensor, draws: Sequence[torch.Generator]) -> torch.Tensor:
        """The next token of each row: int64 [B], on the CPU."""
        if self.manner.temperature == 0:
            return logits_BV.argmax(-1).cpu()
        shares_BV, ids_BV = (
            (logits_BV / self.manner.temperature).softmax(-1).topk(min(LIKELIEST, logits_BV.shape[-1]))
        )
        sums_BV = shares_BV.cumsum(-1)
        shares_BV = shares_BV.masked_fill(sums_BV - shares_BV >= self.manner.top_p, 0.0)
        drawn_B1 = torch.stack([torch.rand(1, generator=draw) for draw in draws]).to(logits_BV.device)
        sums_BV = shares_BV.cumsum(-1)
        place_B1 = torch.searchsorted(sums_BV, drawn_B1 * sums_BV[:, -1:]).clamp(max=sums_BV.shape[1] - 1)
        return ids_BV.gather(1, place_B1)[:, 0].cpu()

    def _finish(self, prompt: list[int], said: list[int], finished: bool) -> Answer:
        words = str(self.tokenizer.decode(said[:-1] if finished else said, skip_special_tokens=True))
        return Answer(words, finished, len(prompt), len(said))


def encode_prompt(tokenizer: "PreTrainedTokenizerFast", prompt: Prompt) -> list[int]:
    """A prompt's ids: by the tokenizer's chat template, or one paragraph below the other where it has none."""
    if getattr(tokenizer, "chat_template", None):
        words = str(
            tokenizer.apply_chat_template(prompt.messages, tokenize=False, add_generation_prompt=True)
        )
        special = False
    else:
        words = "".join(f"{part}\n\n" for part in (prompt.system, prompt.request) if part)
        special = True
    ((ids, _, _),) = iterate_encodings(tokenizer, [words], special=special, where="prompts")
    return ids


def load_tokenizer_of(name: str) -> "PreTrainedTokenizerFast":
    """The tokenizer of a model folder or hub name. Raises WorkbenchError where there is none."""
    return load_tokenizer(find_local(name).path)


def find_local(name: str) -> Checkpoint:
    """The model of a name: a folder, a series' last, a hub name. Raises WorkbenchError where there is none."""
    try:
        return as_checkpoint(name)
    except WorkbenchError as error:
        raise WorkbenchError(
            f"The model {name!r} cannot be opened: {error} A model behind a server is named with --server."
        ) from error


def load_local(name: str, manner: Manner, batch: int, device: str | None = None) -> LocalModel:
    """A model folder or hub name, in float32 on a CPU and bfloat16 on a GPU.

    Raises WorkbenchError where there is no such model, and for what `load_model` refuses.
    """
    checkpoint = find_local(name)
    tokenizer = load_tokenizer(checkpoint.path)
    chosen = choose_device(device)
    model = load_model(checkpoint, device=chosen, dtype="float32" if chosen == "cpu" else "bfloat16")
    return LocalModel(model, tokenizer, manner, batch)
