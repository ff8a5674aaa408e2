"""Which number format and which attention a processor gets: by rule on x86-64, by measurement elsewhere."""

import platform

import pytest
import torch

from workbench.recipes.recipe import load_recipe
from workbench.training import processor
from workbench.training.devices import choose_execution
from workbench.training.processor import bf16_pays, fused_attention_pays, threads_that_pay

LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")


@pytest.fixture(autouse=True)
def forget():
    """The answers are kept for the life of a process."""
    for question in (bf16_pays, fused_attention_pays):
        question.cache_clear()
    yield
    for question in (bf16_pays, fused_attention_pays):
        question.cache_clear()


def pretend(monkeypatch, machine: str, avx512: bool = False, amx: bool = False, **limits: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)
    for name, value in limits.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("machine", "avx512", "amx", "limits", "pays", "why"),
    [
        ("x86_64", False, False, {}, False, "the processor lacks bfloat16 (AVX-512 BF16 or AMX)"),
        ("x86_64", True, False, {}, True, "the processor has bfloat16 (AVX-512 BF16 or AMX)"),
        ("AMD64", False, True, {}, True, "the processor has bfloat16 (AVX-512 BF16 or AMX)"),
        (
            "x86_64",
            True,
            True,
            {"ONEDNN_MAX_CPU_ISA": "AVX2"},
            False,
            "the processor has bfloat16, but ONEDNN_MAX_CPU_ISA=AVX2 keeps it from being used",
        ),
        (
            "x86_64",
            True,
            True,
            {"ATEN_CPU_CAPABILITY": "avx2"},
            False,
            "the processor has bfloat16, but ATEN_CPU_CAPABILITY=avx2 keeps it from being used",
        ),
    ],
)
def test_x86_says_it_itself(monkeypatch, machine, avx512, amx, limits, pays, why) -> None:
    pretend(monkeypatch, machine, avx512, amx, **limits)
    assert bf16_pays() == (pays, why)
    execution = choose_execution(load_recipe("quick").training, "cpu", 100)
    assert (execution.bf16, execution.attention) == (pays, "blocks")
    assert execution.why == why


@pytest.mark.parametrize(("seconds", "pays"), [(0.5, True), (0.9, False), (4.0, False)])
def test_another_architecture_is_measured(monkeypatch, seconds, pays) -> None:
    pretend(monkeypatch, "aarch64")
    monkeypatch.setattr(processor, "measure_product", lambda dtype: seconds if dtype == "bfloat16" else 1.0)
    assert bf16_pays() == (pays, f"measured: bfloat16 products are {1 / seconds:.1f}x as fast as float32")


def test_its_attention_is_measured_too(monkeypatch) -> None:
    pretend(monkeypatch, "aarch64")
    monkeypatch.setattr(processor, "MEASURED_SECONDS", 0.01)
    pays, why = fused_attention_pays(False)
    assert why.startswith("measured: fused attention is ")
    assert pays == (float(why.split()[4].removesuffix("x")) >= 1) or "is 1.0x" in why


def test_both_attentions_of_the_measurement_are_one_function() -> None:
    q, k, v = (torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(i)) for i in range(3))
    torch.testing.assert_close(processor._fused(q, k, v), processor._written_out(q, k, v))


def test_a_recipe_that_names_its_precision_is_followed(monkeypatch) -> None:
    pretend(monkeypatch, "x86_64", avx512=True)
    execution = choose_execution(load_recipe("quick", ["training.precision=fp32"]).training, "cpu", 100)
    assert (execution.precision, execution.why) == ("fp32", "the recipe says fp32")


@pytest.mark.parametrize(("flops", "threads"), [(1e8, 1), (1e10, 2)])
def test_steps_of_little_arithmetic_take_one_thread(flops, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), threads_that_pay(flops):
            assert torch.get_num_threads() == threads
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
