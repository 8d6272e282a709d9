"""The filter across domains against its formula, multiplied out."""

import numpy as np

from gnn import make_model
from graphgen.build import build_graph


def normalised(matrix):
    def inverse(sums):
        return np.where(sums > 0, 1 / np.sqrt(np.where(sums > 0, sums, 1)), 0)

    return inverse(matrix.sum(1))[:, None] * matrix * inverse(matrix.sum(0))


def test_scores_are_those_of_the_formula(log):
    train = log[~((log.user_id < "u020") & (log.domain == "film"))]
    model = make_model("cgsp", alpha=0.6).fit(build_graph(train, encoder="none"))
    data = model.data
    whole = data.matrix.toarray()
    target = whole[:, data.span("film")]
    source = whole[:, data.span("book")]
    both = target.any(1) & source.any(1)
    t, s = normalised(target), normalised(source)
    gram = t.T @ t
    similar = 0.6 * (t[both].T @ s[both] @ s[both].T @ t[both]) @ gram + 0.4 * gram
    signal = np.where(target.any(1, keepdims=True), t, s @ s[both].T @ t[both])
    assert 0 < both.sum() < len(both)
    np.testing.assert_allclose(
        model.score(data.users.ids, domain="film"), signal @ similar, rtol=1e-4, atol=1e-6
    )
