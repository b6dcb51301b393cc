"""The layers: sizes as TensorFlow has them, and each fast path against the plain one that defines it."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from gansmith.nn import (
    Dropout,
    SameConv2d,
    SameConvTranspose2d,
    UpsampleConv2d,
    patch,
    same_padding,
    set_fast,
    transpose,
)

torch.set_num_threads(1)
DTYPES = [(torch.float64, 1e-11), (torch.float32, 1e-4), (torch.bfloat16, 1e-2)]


def results(layer: nn.Module, maps: Tensor, *, fast: bool, dtype: torch.dtype, seed: int = 0) -> dict[str, Tensor]:
    """The output and every gradient of a layer, by one path and in one precision."""
    layer = copy.deepcopy(layer)
    set_fast(layer, fast)
    maps = maps.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        output = layer(maps)
    toward = torch.randn(output.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    output.backward(toward.to(output.dtype))
    found = {"output": output, "input": maps.grad}
    return found | {name: parameter.grad for name, parameter in layer.named_parameters()}


def assert_same(layer: nn.Module, maps: Tensor, dtype: torch.dtype, tolerance: float) -> None:
    fast = results(layer, maps, fast=True, dtype=dtype)
    reference = results(layer.double(), maps.double(), fast=False, dtype=torch.float64)
    for name, value in reference.items():
        found = fast[name].double()
        error = (found - value).norm() / value.norm().clamp_min(1e-30)
        assert error < tolerance, f"{name}: off by {error:.1e}"


def working(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


@pytest.fixture(params=["measured", "everywhere"])
def rule(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The products where the rule has them, and on every shape."""
    if request.param == "everywhere":
        monkeypatch.setattr(patch, "_TAPS_CHANNELS", 1)
        monkeypatch.setattr(patch, "_TAPS_AREA", 10**6)


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("n", "channels", "out_channels", "height", "width"),
    [(2, 64, 64, 4, 4), (1, 64, 72, 3, 4), (2, 1, 6, 7, 9), (1, 3, 4, 1, 2), (3, 5, 1, 9, 7), (2, 4, 3, 13, 8)],
)
@pytest.mark.usefixtures("rule")
def test_same_conv_fast_is_plain(
    n: int,
    channels: int,
    out_channels: int,
    height: int,
    width: int,
    stride: int,
    kernel: int,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    torch.manual_seed(0)
    layer = SameConv2d(channels, out_channels, kernel, stride).to(working(dtype))
    maps = torch.randn(n, channels, height, width, dtype=working(dtype)).to(memory_format=torch.channels_last)
    assert_same(layer, maps, dtype, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(2, 4, 3, 5), (1, 1, 1, 1), (2, 64, 4, 4)])
@pytest.mark.usefixtures("rule")
def test_upsample_conv_fast_is_plain(
    shape: tuple[int, int, int, int], transposed: bool, kernel: int, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(0)
    layer = UpsampleConv2d(shape[1], 16, kernel, transposed=transposed).to(working(dtype))
    nn.init.normal_(layer.bias)
    assert_same(layer, torch.randn(shape, dtype=working(dtype)), dtype, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize(
    ("channels", "out_channels", "size", "out_size", "valid"),
    [(25, 32, 2, 3, False), (32, 8, 3, 6, False), (64, 1, 12, 28, True), (8, 3, 5, 9, False)],
)
def test_transposed_fast_is_plain(
    channels: int,
    out_channels: int,
    size: int,
    out_size: int,
    valid: bool,
    dtype: torch.dtype,
    tolerance: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    layer = SameConvTranspose2d(channels, out_channels, 5, 2, out_size=out_size, valid=valid).to(working(dtype))
    for chunk in (1 << 21, 3 * 25 * out_channels * size**2):  # all 8 images at once; by 3, 3 and 2
        monkeypatch.setattr(transpose, "_CHUNK", chunk)
        assert_same(
            layer.to(working(dtype)), torch.randn(8, channels, size, size, dtype=working(dtype)), dtype, tolerance
        )


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES[:2])
@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 4),
    channels=st.integers(1, 4),
    out_channels=st.sampled_from([1, 3, 4]),
    size=st.integers(1, 7),
    kernel=st.integers(1, 6),
    stride=st.integers(2, 3),
    more=st.integers(-2, 2),
    valid=st.booleans(),
    chunk=st.sampled_from([1, 1 << 21]),
)
def test_transposed_fast_is_plain_for_any_shape(
    n: int,
    channels: int,
    out_channels: int,
    size: int,
    kernel: int,
    stride: int,
    more: int,
    valid: bool,
    chunk: int,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    torch.manual_seed(0)
    out_size = max(1, (size - 1) * stride + kernel + more) if valid else max(1, size * stride - (more > 0))
    layer = SameConvTranspose2d(channels, out_channels, kernel, stride, out_size=out_size, valid=valid)
    reached = (size - 1) * stride + kernel - 2 * layer.before
    if reached < 1 or out_size - reached >= stride:  # F.conv_transpose2d cannot
        return
    layer = layer.to(working(dtype), memory_format=torch.channels_last)
    maps = torch.randn(n, channels, size, size, dtype=working(dtype)).to(memory_format=torch.channels_last)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(transpose, "_CHUNK", chunk)  # 1: image by image
        assert_same(layer, maps, dtype, tolerance)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 3),
    channels=st.integers(1, 4),
    out_channels=st.integers(1, 4),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 3),
    data=st.data(),
)
def test_weight_by_taps_is_the_weight_gradient(
    n: int,
    channels: int,
    out_channels: int,
    size: tuple[int, int],
    kernel: int,
    stride: int,
    data: st.DataObject,
) -> None:
    padding = data.draw(st.tuples(st.integers(0, kernel), st.integers(0, kernel)))
    torch.manual_seed(0)
    if min(size[0] + 2 * padding[0], size[1] + 2 * padding[1]) < kernel:
        return
    maps = torch.randn(n, channels, *size, dtype=torch.float64)
    weight = torch.randn(out_channels, channels, kernel, kernel, dtype=torch.float64, requires_grad=True)
    output = F.conv2d(maps, weight, None, stride, padding)
    grad = torch.randn_like(output)
    (expected,) = torch.autograd.grad(output, weight, grad)
    torch.testing.assert_close(patch.weight_by_taps(grad, maps, kernel, stride, padding), expected, rtol=0, atol=1e-11)


@pytest.mark.usefixtures("rule")
def test_any_strides_are_taken() -> None:
    torch.manual_seed(0)
    layer = SameConv2d(64, 64, 5).double()
    wide = torch.randn(2, 4, 8, 64, dtype=torch.float64).permute(0, 3, 1, 2)[..., ::2]
    assert not wide.is_contiguous()
    assert not wide.is_contiguous(memory_format=torch.channels_last)
    assert_same(layer, wide, torch.float64, 1e-11)


@pytest.mark.parametrize(
    "layer",
    [
        SameConv2d(64, 64, 5),
        SameConv2d(4, 1, 5),
        UpsampleConv2d(4, 4, 5),
        SameConvTranspose2d(4, 8, 5, 2, out_size=8),
    ],
)
def test_same_bytes_again(layer: nn.Module) -> None:
    maps = torch.randn(8, 4, 4, 4) if not isinstance(layer, SameConv2d) else torch.randn(8, layer.in_channels, 4, 4)
    first = results(layer, maps, fast=True, dtype=torch.bfloat16)
    for name, value in results(layer, maps, fast=True, dtype=torch.bfloat16).items():
        assert torch.equal(value, first[name]), name


@pytest.mark.parametrize(
    "layer", [SameConv2d(64, 1, 3), SameConv2d(64, 64, 3), SameConvTranspose2d(64, 3, 5, 2, out_size=8)]
)
def test_second_derivatives_are_the_plain_ones(layer: nn.Module) -> None:
    torch.manual_seed(0)
    layer = layer.double()
    maps = torch.randn(2, 64, 4, 4, dtype=torch.float64, requires_grad=True)

    def penalty(*, fast: bool) -> tuple[Tensor, ...]:
        set_fast(layer, fast)
        (slope,) = torch.autograd.grad(layer(maps).pow(3).sum(), maps, create_graph=True)
        return torch.autograd.grad(slope.pow(2).sum(), (maps, layer.weight))

    for found, expected in zip(penalty(fast=True), penalty(fast=False), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_only_what_is_wanted_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = SameConv2d(64, 64, 5)
    layer.requires_grad_(False)
    monkeypatch.setattr(patch, "weight_by_taps", lambda *a: pytest.fail("a frozen layer has no weight gradient"))
    maps = torch.randn(2, 64, 4, 4, requires_grad=True)
    layer(maps).sum().backward()
    assert maps.grad is not None
    assert layer.weight.grad is None


def test_without_gradients_and_in_eval() -> None:
    layer = SameConv2d(64, 64, 5).eval()
    maps = torch.randn(2, 64, 4, 4)
    with torch.no_grad():
        output = layer(maps)
    assert not output.requires_grad
    torch.testing.assert_close(output, F.conv2d(maps, layer.weight, layer.bias, padding=2))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [(28, 5, 2, (1, 2)), (7, 5, 2, (2, 2)), (4, 5, 1, (2, 2)), (1, 1, 2, (0, 0))],
)
def test_same_padding(size: int, kernel: int, stride: int, expected: tuple[int, int]) -> None:
    assert same_padding(size, kernel, stride) == expected


def test_set_fast_reaches_every_layer() -> None:
    network = nn.Sequential(
        SameConv2d(1, 1, 3),
        nn.Sequential(UpsampleConv2d(1, 1, 3), Dropout(0.5)),
        SameConvTranspose2d(1, 1, 3, 2, out_size=4),
        nn.ReLU(),
    )
    set_fast(network, False)
    assert [module.fast for module in network.modules() if hasattr(module, "fast")] == [False] * 4
    assert not hasattr(network[3], "fast")


@pytest.mark.parametrize("rate", [0.1, 0.4, 0.5, 0.999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_at_its_rate(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    count = 1_000_001
    output = Dropout(rate)(torch.ones(count, dtype=dtype))
    kept = output != 0
    sigma = (rate * (1 - rate) / count) ** 0.5
    assert abs(1 - kept.double().mean().item() - rate) < 4 * sigma
    assert torch.allclose(output[kept].double(), torch.tensor(1 / (1 - rate)).double(), rtol=4e-3)
    pairs = (kept[:-1] & kept[1:]).double().mean().item()  # neighbours share a draw of 64 bits
    assert abs(pairs - (1 - rate) ** 2) < 8 * sigma


def test_dropout_has_a_gradient_and_a_seed() -> None:
    maps = torch.randn(3, 5, 7, 7).to(memory_format=torch.channels_last).requires_grad_()
    torch.manual_seed(1)
    output = Dropout(0.4)(maps)
    output.sum().backward()
    assert output.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(maps.grad * maps, output)
    torch.manual_seed(1)
    assert torch.equal(Dropout(0.4)(maps), output)


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_dropout_at_the_ends(rate: float, expected: float) -> None:
    assert torch.equal(Dropout(rate)(torch.ones(9)), torch.full((9,), expected))
    assert torch.equal(Dropout(0.5).eval()(torch.ones(9)), torch.ones(9))
