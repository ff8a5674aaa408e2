"""Every architecture of the library's causal models, built small from its config: what the workbench reads of it.

Each model is saved, opened as any foreign folder is, and compared with the library's own: the states between blocks
with its `hidden_states`, the most likely next tokens with its logits, a text read up to a token with the whole text.

    python benchmarks/architectures.py                # all, a table on stdout
    python benchmarks/architectures.py llama mamba    # some
    python benchmarks/architectures.py --table docs/architectures.md
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

TOLERANCE = 1e-4  # relative to a layer's largest entry
LARGEST = 30_000_000  # parameters of what still counts as small
SECONDS = 60
SMALL: dict[str, Any] = {
    "vocab_size": 99, "hidden_size": 32, "n_embd": 32, "d_model": 32, "embedding_size": 32, "word_embed_proj_dim": 32,
    "dim": 32, "d_embed": 32, "embed_dim": 32,
    "num_hidden_layers": 2, "n_layer": 2, "num_layers": 2, "n_layers": 2, "decoder_layers": 2, "encoder_layers": 2,
    "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4, "decoder_attention_heads": 4,
    "encoder_attention_heads": 4, "num_key_value_heads": 2, "num_kv_heads": 2, "head_dim": 8, "attention_head_dim": 8,
    "intermediate_size": 48, "n_inner": 48, "ffn_dim": 48, "decoder_ffn_dim": 48, "encoder_ffn_dim": 48, "d_ff": 48,
    "ffn_hidden_size": 48, "max_position_embeddings": 64, "n_positions": 64, "n_ctx": 64,
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2,
    "moe_k": 2, "moe_topk": 2,
    "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, "n_group": 1, "topk_group": 1,
    "first_k_dense_replace": 1, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8,
    "v_head_dim": 8, "qk_head_dim": 16, "state_size": 8, "time_step_rank": 4, "rotary_dim": 8, "sliding_window": 16,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "image_token_id": 3, "video_token_id": 4,
    "audio_token_id": 5, "decoder_start_token_id": 1, "is_decoder": True, "use_cache": False, "num_mem_blocks": 1,
    "vocab_size_per_layer_input": 99, "hidden_size_per_layer_input": 8, "num_kv_shared_layers": 0, "mamba_d_state": 8,
    "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_chunk_size": 16, "attention_hidden_size": 32, "num_attn_heads": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """What became of one architecture: `works`, `refused` (with the reason) or `not built` (by the library, small)."""

    model_type: str
    state: str
    reason: str = ""


class NotSmall(Exception):
    """The library makes no small model of this type from a config."""


def small_config(model_type: str) -> Any:
    """A config of this type with every size that it has made small."""
    from transformers import CONFIG_MAPPING

    kind: Any = CONFIG_MAPPING[model_type]
    given = kind()
    with contextlib.suppress(
        Exception
    ):  # a constructor derives sizes from others; nested configs it knows not
        given = kind(
            **{name: value for name, value in SMALL.items() if getattr(given, name, None) is not None}
        )
        if given.get_text_config() is given:
            return given
    for part in {id(part): part for part in (given, given.get_text_config())}.values():
        for name in [name for name in SMALL if getattr(part, name, None) is not None]:
            with contextlib.suppress(Exception):
                setattr(part, name, SMALL[name])
        # Lists that name something for every layer are cut to the layers there are.
        layers = int(getattr(part, "num_hidden_layers", 2))
        for name, value in list(vars(part).items()):
            if (
                isinstance(value, list)
                and len(value) > layers
                and name.endswith(("types", "pattern", "layers", "type"))
            ):
                with contextlib.suppress(Exception):
                    setattr(part, name, value[:layers])
    return given


def check(model_type: str) -> Finding:
    """Build one architecture, and compare what the workbench reads with what the library says."""
    try:
        with time_limit(SECONDS):
            return _check(model_type)
    except NotSmall as error:
        return Finding(model_type, "not built", str(error))


def _check(model_type: str) -> Finding:
    import torch
    from transformers import AutoModelForCausalLM

    from workbench.errors import WorkbenchError, first_line
    from workbench.studies.loading import load_model
    from workbench.studies.series import as_checkpoint

    loader: Any = AutoModelForCausalLM
    torch.manual_seed(0)
    try:
        config = small_config(model_type)
        with torch.device("meta"):
            size = sum(parameter.numel() for parameter in loader.from_config(config).parameters())
        if size > LARGEST:
            raise NotSmall(f"{size / 1e6:.0f} million parameters with small sizes")
        model = loader.from_config(small_config(model_type)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
        ids = torch.randint(6, 90, (2, 12))
        with torch.no_grad():
            known = model(input_ids=ids, output_hidden_states=True)
    except (NotSmall, TimeoutError):
        raise
    except Exception as error:
        raise NotSmall(f"{type(error).__name__}: {first_line(error)}"[:100]) from error
    with tempfile.TemporaryDirectory() as folder:
        try:
            model.save_pretrained(folder)
        except Exception as error:
            raise NotSmall(f"saving: {type(error).__name__}: {first_line(error)}"[:100]) from error
        try:
            opened: Any = load_model(as_checkpoint(Path(folder)))
            return _compare(model_type, opened, ids, known)
        except WorkbenchError as error:
            return Finding(model_type, "refused", str(error).replace(folder, "the folder")[:160])


def _compare(model_type: str, model: Any, ids: Any, known: Any) -> Finding:
    import torch
    from workbench_models import text_config

    from workbench.activations import capture

    with torch.no_grad():
        tokens = model(input_ids=ids).logits[:, -1].argmax(-1)
    if not torch.equal(tokens, known.logits[:, -1].argmax(-1)):
        return Finding(model_type, "DIFFERS", "in the next token")
    states = known.hidden_states
    n_layers = int(text_config(model.config).num_hidden_layers)
    sites = ["resid_pre.0", *(f"resid_post.{layer}" for layer in range(n_layers))]
    with capture(model, sites) as found, torch.no_grad():
        found.run(ids)
        # The library's states begin before the first block, or (Mamba) after it; the last is after the final norm.
        starts = (0, 1) if len(states) > n_layers else (0,)
        worst = min(
            (
                max(
                    _off(found[site], state)
                    for site, state in zip(sites[start:], states[:n_layers], strict=False)
                ),
                start,
            )
            for start in starts
        )[0]
        if not worst < TOLERANCE:
            return Finding(model_type, "DIFFERS", f"in the residual stream by {worst:.1e}")
        whole = found[sites[-1]][:, :7].clone()
        found.run(ids[:, :7])
        off = _off(found[sites[-1]], whole)
    return Finding(
        model_type,
        "works",
        "" if off < TOLERANCE else "texts are read whole: later tokens or the length matter",
    )


def _off(one: Any, two: Any) -> float:
    """Largest difference, relative to the largest entry; infinite where shapes or numbers do not fit."""
    if one.shape != two.shape:
        return float("inf")
    found = float((one - two).abs().max() / two.abs().max())
    return found if found == found else float("inf")


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise NotSmall in this thread after so many seconds."""

    def stop(*_: object) -> None:
        raise NotSmall(f"not done after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def all_types() -> list[str]:
    """The model types of the installed library's causal auto-mapping."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("types", nargs="*", help="model types; without any, all")
    parser.add_argument("--table", type=Path, help="write the table as Markdown into this file")
    arguments = parser.parse_args()
    rows = []
    for model_type in arguments.types or all_types():
        try:
            found = check(model_type)
        except Exception as error:
            found = Finding(model_type, "CRASHES", f"{type(error).__name__}: {error}"[:160])
        rows.append(found)
        print(f"{found.model_type:28} {found.state:10} {found.reason}", flush=True)
    counts = {state: sum(row.state == state for row in rows) for state in sorted({row.state for row in rows})}
    print(", ".join(f"{number} {state}" for state, number in counts.items()), file=sys.stderr)
    if arguments.table:
        arguments.table.write_text(make_table(rows), encoding="utf-8")


def make_table(rows: list[Finding]) -> str:
    """The findings as a Markdown table."""
    import transformers

    made = f"Made with `python benchmarks/architectures.py --table`, transformers {transformers.__version__}."
    head = f"# Architectures\n\n{made}\n\n"
    lines = [f"| `{row.model_type}` | {row.state} | {row.reason.replace('|', '/')} |\n" for row in rows]
    return head + "| model type | state | reason |\n|---|---|---|\n" + "".join(lines)


if __name__ == "__main__":
    main()
