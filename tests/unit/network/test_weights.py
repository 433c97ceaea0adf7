"""Packed weights: rounded kernels and exact vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegender.network.weights import PackedWeights, pack_weights, unpack_weights


def test_kernels_are_rounded_to_steps_of_each_outputs_root_mean_square() -> None:
    # Two inputs, two outputs. The first output's weights are 3 and 4, whose root mean square is sqrt(12.5).
    kernel = np.array([[[[3.0, 0.0], [4.0, 0.0]]]], np.float32)

    packed = pack_weights([kernel, np.array([0.1, -7.0], np.float32)], 0.5)

    step = 0.5 * 12.5**0.5  # 1.768: 3 is 1.70 steps, 4 is 2.26.
    np.testing.assert_array_equal(packed.levels, [2, 0, 2, 0])
    assert packed.levels.dtype == np.int8
    assert packed.scales == pytest.approx([step, 0])
    np.testing.assert_array_equal(packed.vectors, np.array([0.1, -7.0], np.float32))


def test_unpacking_multiplies_levels_by_the_scale_of_their_output() -> None:
    packed = PackedWeights(
        np.array([1, -2, 3, 4, 5], np.int8), np.array([0.5, 10, 2], np.float32), np.array([7, 8, 9], np.float32)
    )

    first, vector, second, last = unpack_weights(packed, [(1, 1, 2, 2), (2,), (1, 1, 1, 1), (1,)])

    np.testing.assert_array_equal(first, [[[[0.5, -20], [1.5, 40]]]])
    np.testing.assert_array_equal(vector, [7, 8])
    np.testing.assert_array_equal(second, [[[[10]]]])
    np.testing.assert_array_equal(last, [9])


@pytest.mark.parametrize("shapes", [[(1, 1, 1, 1)], [(1, 1, 2, 1), (1,)], [(1, 1, 1, 1), (1,), (1,)]])
def test_weights_of_another_network_are_not_unpacked(shapes: list[tuple[int, ...]]) -> None:
    packed = PackedWeights(np.ones(1, np.int8), np.ones(1, np.float32), np.ones(1, np.float32))

    with pytest.raises(ValueError, match="another network"):
        unpack_weights(packed, shapes)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1))
def test_no_weight_moves_by_more_than_half_a_step(seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    kernels = [rng.normal(0, 0.1, shape).astype(np.float32) for shape in ((3, 3, 4, 5), (1, 7, 2, 3))]

    packed = pack_weights([*kernels, np.zeros(1, np.float32)], step)
    *unpacked, _ = unpack_weights(packed, [*(kernel.shape for kernel in kernels), (1,)])

    for before, after in zip(kernels, unpacked, strict=True):
        spread = np.sqrt((before.astype(float) ** 2).mean(axis=(0, 1, 2)))
        assert (np.abs(before - after) <= 0.5001 * step * spread).all()


def test_a_weight_beyond_127_steps_is_stored_as_127() -> None:
    kernel = np.zeros((1, 1, 10_000, 1), np.float32)
    kernel[0, 0, 0] = -1.0  # The root mean square is 0.01, and the step 0.001.

    assert pack_weights([kernel, np.zeros(1, np.float32)], 0.1).levels[0] == -127
