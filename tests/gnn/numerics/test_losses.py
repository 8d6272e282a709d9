import pytest
import torch

from gnn.numerics.losses import bpr_loss, log_partition


def test_log_partition_and_its_gradients_equal_autograd():
    """Over chunks of users with negatives of their own, a user in several of them."""
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 6, generator=generator).requires_grad_() for n in (5, 12))
    chunks = [
        (torch.tensor([0, 2]), torch.tensor([1.0, 1.7]), torch.tensor([0, 4, 4, 7, 10])),
        (torch.tensor([3]), torch.tensor([2.0]), torch.tensor([1])),
        (torch.tensor([4, 0, 1]), torch.tensor([0.5, 1.2, 3.0]), torch.tensor([2, 11, 4])),
    ]
    want = 0.0
    for who, weight, negatives in chunks:
        for user, share in zip(who, weight, strict=True):
            want = want + share * torch.logsumexp(items[negatives] @ users[user] / 0.3, 0)
    expected = torch.autograd.grad(3 * want, (users, items))
    loss = log_partition(users, items, chunks, temperature=0.3)
    assert float(loss.detach()) == pytest.approx(float(want.detach()), rel=1e-5)
    for ours, theirs in zip(torch.autograd.grad(3 * loss, (users, items)), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_bpr_falls_with_the_margin():
    low = bpr_loss(torch.tensor([0.0]), torch.tensor([1.0]))
    high = bpr_loss(torch.tensor([2.0]), torch.tensor([1.0]))
    assert high < low
