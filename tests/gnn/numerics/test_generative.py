import numpy as np
import pytest

from gnn.numerics.generative import density_and_coverage, nearest_ratio, two_sample_accuracy


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((400, 3)) for _ in range(3)]


def test_density_and_coverage_equal_the_definition(samples):
    real, fake = samples[0][:40], samples[1][:30] + 0.5
    radius = [np.sort(np.linalg.norm(real - x, axis=1))[3] for x in real]  # Itself is the first.
    inside = np.array(
        [[np.linalg.norm(x - y) <= r for y in fake] for x, r in zip(real, radius, strict=True)]
    )
    density, coverage = density_and_coverage(real, fake, k=3)
    assert density == pytest.approx(inside.sum() / (3 * 30))
    assert coverage == pytest.approx(inside.any(axis=1).mean())


def test_a_generator_that_collapses_copies_or_errs_is_found_out(samples):
    train, held_out, fresh = samples
    collapsed = np.tile(held_out[:1], (400, 1))
    assert density_and_coverage(held_out, fresh)[1] > 0.9
    assert density_and_coverage(held_out, collapsed)[1] < 0.2
    assert nearest_ratio(train, held_out, fresh) == pytest.approx(1, abs=0.1)
    assert nearest_ratio(train, held_out, train + 0.001) < 0.05
    assert two_sample_accuracy(held_out, fresh) < 0.6
    assert two_sample_accuracy(held_out, 2 * fresh) > 0.7
