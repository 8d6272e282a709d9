import numpy as np
import torch

from gnn.numerics.alignment import coral, info_nce, mmd


def drawn(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def test_mmd_equals_the_double_sum():
    left, right = drawn(5, 3), drawn(7, 3, seed=1) + 1
    both = torch.cat([left, right])
    scale = ((both[:, None] - both) ** 2).sum(2).mean()

    def kernel(x, y):
        return sum(
            float(torch.exp(-((x - y) ** 2).sum() / (scale * s))) for s in (0.25, 0.5, 1, 2, 4)
        )

    def mean(a, b):
        return np.mean([kernel(x, y) for x in a for y in b])

    wanted = mean(left, left) + mean(right, right) - 2 * mean(left, right)
    assert abs(float(mmd(left, right)) - wanted) < 1e-9


def test_mmd_grows_with_the_distance_of_two_samples():
    x, y = drawn(200, 2), drawn(200, 2, seed=1)
    values = [float(mmd(x, y + shift)) for shift in (0, 0.5, 2)]
    assert values == sorted(values)
    assert values[0] < 0.05


def test_coral_is_the_distance_of_covariances():
    left, right = drawn(30, 4), 2 * drawn(40, 4, seed=1)
    wanted = ((np.cov(left.T.numpy()) - np.cov(right.T.numpy())) ** 2).sum() / (4 * 16)
    assert abs(float(coral(left, right)) - wanted) < 1e-9
    assert float(coral(left[:1], right)) == 0


def test_info_nce_is_least_for_equal_vectors_and_log_n_for_unrelated_ones():
    x, y = drawn(500, 64), drawn(500, 64, seed=1)
    assert float(info_nce(x, x, temperature=0.05)) < 0.01
    assert abs(float(info_nce(x, y, temperature=100.0)) - np.log(500)) < 0.01
