"""What the headers of a checkpoint's weight files say: names, types and shapes of its tensors."""

from typing import Any

from workbench.errors import WorkbenchError
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.weight_files import read_header
from workbench.tokens.config_file import CONFIG_FILE

# Tables that old versions of the library saved and no version reads.
OLD_BUFFERS = (".inv_freq", ".attention.bias", ".attn.bias", ".masked_bias")
# Types that are numbers as they stand; all others (float8, whole numbers) mean one only together with a scale, which a
# config that says how to read them brings along.
FLOATS = ("F64", "F32", "F16", "BF16")


def joint_header(checkpoint: Checkpoint) -> dict[str, Any]:
    """Tensor → (type, shape) over all weight files of a checkpoint, without tables no version reads.

    Raises WorkbenchError for a file that is no safetensors file.
    """
    found: dict[str, Any] = {}
    for file in checkpoint.weight_files:
        header = read_header(file)
        if isinstance(header, str):
            raise WorkbenchError(f"{header}; run `workbench verify` on {checkpoint.path}.")
        found |= {
            name: (entry["dtype"], entry["shape"])
            for name, entry in header.items()
            if not name.endswith(OLD_BUFFERS)
        }
    return found


def require_blocks(checkpoint: Checkpoint, config: Any) -> None:
    """Refuse a config of more blocks than the files have tensors, before a network of that size is made."""
    blocks = getattr(config.get_text_config(), "num_hidden_layers", 0) or 0
    tensors = len(joint_header(checkpoint))
    if isinstance(blocks, int) and blocks > max(tensors, 1):
        raise WorkbenchError(
            f"{checkpoint.path / CONFIG_FILE} gives num_hidden_layers as {blocks}, but the weights have {tensors} "
            "tensors, fewer than blocks; restore the config, or the weights."
        )


def scale_faults(checkpoint: Checkpoint, model: Any) -> list[str]:
    """Parameters stored as no plain floating-point numbers, in a folder whose config does not say what they mean."""
    own = {name for name, _ in model.named_parameters()}
    return [
        f"has tensor {name} as {stored} without a scale ({CONFIG_FILE} has no quantization_config)"
        for name, (stored, _) in joint_header(checkpoint).items()
        if stored not in FLOATS and (name in own or f"{model.base_model_prefix}.{name}" in own)
    ]
