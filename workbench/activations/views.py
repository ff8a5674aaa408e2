"""Labelled, lazy views into a store: numbers are read only when a view is turned into an array.

Shapes: N texts, P positions, D width (or heads × head width, neurons, heads × keys).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import torch
    import xarray

    from workbench.activations.store import ActivationStore, StoredSite


@dataclass(frozen=True, eq=False)
class SiteView:
    """One site of a store at some positions, [N, P, …] with the dims `text`, `position` and the site's own
    axes.

    `view.sel("3")` (or `view.sel(3)`) narrows to positions by label, `view[rows]` reads some texts, `view.to_numpy()`,
    `.to_torch()`, `.to_xarray()`, `np.asarray(view)` and `torch.from_dlpack(view)` read all of it. Vectors of
    positions a text does not have are NaN. numpy has no bf16: there it becomes float32, in torch it stays.
    """

    store: "ActivationStore"
    stored: "StoredSite"
    chosen: tuple[int, ...]

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes."""
        return ("text", "position", *self.stored.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return (int(self.store.manifest["texts"]), len(self.chosen), *self.stored.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type `to_numpy` gives."""
        return np.dtype("float16" if self.stored.dtype == "float16" else "float32")

    @property
    def position_labels(self) -> tuple[str, ...]:
        """Labels of the positions in view."""
        return tuple(self.store.position_labels[number] for number in self.chosen)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        axes = ", ".join(f"{name}: {size}" for name, size in zip(self.dims, self.shape, strict=True))
        return f"<SiteView {self.stored.site.short} ({axes}) {self.stored.dtype}>"

    def sel(self, position: str | int | Sequence[str | int]) -> "SiteView":
        """The view narrowed to positions by label; an unknown one is refused with the known ones.

        A number stands for the label that is written so, as in results: `sel(0)` is `sel("0")`.
        """
        labels = [str(one) for one in ([position] if isinstance(position, str | int) else position)]
        known = self.position_labels
        for label in labels:
            if label not in known:
                raise WorkbenchError(f"position {label!r} is not in this store; it holds {', '.join(known)}.")
        return SiteView(self.store, self.stored, tuple(self.chosen[known.index(label)] for label in labels))

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Some texts [n, P, …] as numpy, by slice or index array; only the shards that hold them are read."""
        wanted = np.atleast_1d(np.arange(len(self))[rows])
        out = np.full((len(wanted), *self.shape[1:]), np.nan, self.dtype)
        for first, last, parts in self._shards():
            here = np.flatnonzero((wanted >= first) & (wanted < last))
            for column, (present, values) in enumerate(parts if len(here) else []):
                local = wanted[here] - first
                kept = present[local]
                # The present texts of a shard are stored one after the other.
                inside = (np.cumsum(present) - 1)[local[kept]]
                out[here[kept], column] = _widen(values[inside], self.stored.dtype)
        return out

    def to_numpy(self) -> np.ndarray:
        """All of it, [N, P, …]; float16 as stored, everything else float32."""
        out = np.empty(self.shape, self.dtype)
        for first, last, parts in self._shards():
            for column, (present, values) in enumerate(parts):
                if present.all():
                    out[first:last, column] = _widen(values, self.stored.dtype)
                else:
                    block = out[first:last, column]
                    block[~present] = np.nan
                    block[present] = _widen(values, self.stored.dtype)
        return out

    def to_torch(self) -> "torch.Tensor":
        """All of it as a CPU tensor [N, P, …] in the stored number format, bf16 included."""
        import torch

        if self.stored.dtype != "bfloat16":
            return torch.from_numpy(self.to_numpy())
        out = torch.full(self.shape, torch.nan, dtype=torch.bfloat16)
        for first, last, parts in self._shards():
            for column, (present, values) in enumerate(parts):
                bits = torch.from_numpy(values.copy()).view(torch.bfloat16)
                out[first:last, column][torch.from_numpy(present)] = bits
        return out

    def to_xarray(self) -> "xarray.DataArray":
        """All of it with labelled axes: positions by label, and the columns of the texts as coordinates.

        What is known of each place (`next_attribute`) has the dims text and position; names of what is not known are
        empty. `attrs` say which model, step, site and precision it is of.
        """
        import xarray

        coordinates: dict[str, Any] = {"position": list(self.position_labels)}
        for name, column in self.store.columns.items():
            values = column.values if column.values.ndim == 1 else column.values[:, list(self.chosen)]
            dims = ("text", "position")[: values.ndim]
            coordinates[name if name not in self.dims else f"{name}_"] = dims, column.name(values)
        made_from, made_with = (self.store.manifest[key] for key in ("made_from", "made_with"))
        attrs = {"site": self.stored.site.short, "dtype": self.stored.dtype, "engine": made_with["engine"]}
        attrs |= {key: made_from[key] for key in ("label", "step") if made_from.get(key) is not None}
        return xarray.DataArray(
            self.to_numpy(), dims=self.dims, coords=coordinates, name=self.stored.site.name,
            attrs={**attrs, "weights_digest": self.store.weights_digest},
        )  # fmt: skip

    def iterate(self) -> Iterator[tuple[slice, list[tuple[np.ndarray, np.ndarray]]]]:
        """Shard after shard without copying: the texts' range, and for each position (present [n], values [m,
        …]).

        Values are read-only memory maps of the m present texts (bf16 as its bits, uint16).
        """
        for first, last, parts in self._shards():
            yield slice(first, last), parts

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a view into several shards cannot become one array without a copy")
        return self.to_numpy() if dtype is None else self.to_numpy().astype(dtype, copy=False)

    def __dlpack__(self, **options: Any) -> Any:
        return self.to_torch().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # the CPU

    def _shards(self) -> Iterator[tuple[int, int, list[tuple[np.ndarray, np.ndarray]]]]:
        """First and last text of each shard, and (present [n], values [m, …]) of each position in view."""
        from workbench.activations.store import tensor_name

        positions = self.store.reading.positions
        labels = self.store.position_labels
        for shard in self.store.manifest["shards"]:
            first, last = int(shard["first"]), int(shard["first"]) + int(shard["texts"])
            tensors = self.store.tensors(shard)
            yield (
                first,
                last,
                [
                    (
                        positions[first:last, number] >= 0,
                        tensors[tensor_name(self.stored.site, labels[number])],
                    )
                    for number in self.chosen
                ],
            )


def _widen(values: np.ndarray, dtype: str) -> np.ndarray:
    """Stored values as numpy can hold them: bf16 bits become float32, exactly."""
    if dtype != "bfloat16":
        return values
    return (values.astype(np.uint32) << 16).view(np.float32)
