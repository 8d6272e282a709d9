import threading

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.numerics.losses import SoftmaxChunk, bpr_loss, sampled_softmax
from gnn.numerics.propagation import Propagator


def direct(users, items, positives, chunks, temperature):
    """The loss as `sampled_softmax` states it, one user at a time."""
    total = 0.0
    for user, own in enumerate(positives):
        total = total - (items[own] @ users[user]).sum() / temperature / len(own) ** 0.5
    for chunk in chunks:
        for user, weight in zip(chunk.users, chunk.weight, strict=True):
            logits = users[user] @ items[chunk.negatives].T / temperature
            total = total + weight * torch.logsumexp(logits, 0)
    return total


def positive_weights(positives, n_items):
    rows = [user for user, own in enumerate(positives) for _ in own]
    columns = [item for own in positives for item in own]
    values = [len(own) ** -0.5 for own in positives for _ in own]
    return Propagator(sp.csr_matrix((values, (rows, columns)), shape=(len(positives), n_items)))


def test_loss_and_gradients_equal_autograd():
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 6, generator=generator).requires_grad_() for n in (4, 12))
    positives = [[0, 3], [1], [0, 2, 11], [5]]
    chunks = [
        SoftmaxChunk(torch.tensor(rows), torch.tensor(weight), torch.tensor(negatives))
        for rows, weight, negatives in [
            ([2, 0], [3**0.5, 2**0.5], [0, 4, 4, 7, 10]),
            ([3, 1], [1.0, 1.0], [1, 5, 4, 0]),
            ([1], [2.0], [8]),  # In a second domain.
        ]
    ]
    loss = direct(users, items, positives, chunks, 0.3)
    expected = torch.autograd.grad(2 * loss, (users, items))
    sampled = sampled_softmax(
        users, items, positive_weights(positives, 12), chunks, temperature=0.3
    )
    assert float(sampled.detach()) == pytest.approx(float(loss.detach()), rel=1e-5)
    torch.testing.assert_close(torch.autograd.grad(2 * sampled, (users, items)), expected)


def test_loss_and_gradients_have_equal_bits_whatever_the_threads_do():
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 8, generator=generator).requires_grad_() for n in (300, 40))
    positives = positive_weights([[user % 40] for user in range(300)], 40)
    chunks = [
        SoftmaxChunk(
            torch.randperm(300, generator=generator)[:25],
            torch.ones(25),
            torch.randint(40, (30,), generator=generator),
        )
        for _ in range(60)
    ]

    def bits():
        loss = sampled_softmax(users, items, positives, chunks, temperature=0.5)
        parts = (loss.detach().reshape(1), *torch.autograd.grad(loss, (users, items)))
        return np.concatenate([part.numpy().ravel() for part in parts])

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        alone = bits()
        stop = threading.Event()
        busy = threading.Thread(target=lambda: [None for _ in iter(stop.is_set, True)])
        busy.start()
        try:
            in_company = bits()
        finally:
            stop.set()
            busy.join()
        torch.set_num_threads(1)
        one = bits()
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(alone, in_company)
    np.testing.assert_allclose(one, alone, rtol=1e-5, atol=1e-5)


def test_bpr_falls_with_the_margin():
    low = bpr_loss(torch.tensor([0.0]), torch.tensor([1.0]))
    high = bpr_loss(torch.tensor([2.0]), torch.tensor([1.0]))
    assert high < low
