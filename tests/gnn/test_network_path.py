"""Who is seen in which graph by the network of `interest-gnn`."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn import make_model
from gnn.data import TrainingData, UserBatch
from gnn.models.interest.blend import Blend
from gnn.models.interest.domain_graphs import domains_apart
from gnn.models.interest.encoder import InterestEncoder
from gnn.models.interest.network_choice import NetworkChoice
from gnn.models.interest.network_path import NetworkPath
from gnn.models.interest.network_vectors import GraphVectors, NetworkVectors
from gnn.models.interest.path_scores import PathScores
from gnn.models.interest.validation import ValidationRows
from gnn.numerics.propagation import Propagator, inverse_power, normalized_adjacency
from graphgen.build import build_graph
from graphgen.errors import ConfigError
from graphgen.log import InteractionLog

USER_EXPONENT, ITEM_EXPONENT = 0.5, 0.3


@pytest.fixture(scope="module")
def data(graph):
    return TrainingData.from_graph(graph)


@pytest.fixture(scope="module")
def vectors(data):
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    joint, apart = (GraphVectors(*(draw(data.n_items, 3) for _ in range(3))) for _ in range(2))
    return NetworkVectors(draw(data.n_users, 3), joint, apart)


def people(data, n):
    """The first people of the training data."""
    return UserBatch(np.arange(n), data.matrix[:n], np.arange(n))


def cosines(own, history, items):
    person = 0.5 * own + history
    return person / np.linalg.norm(person, axis=1, keepdims=True) @ items.numpy().T


def test_known_people_have_their_vector_and_others_an_estimate(data, vectors):
    joint, span = vectors.joint, data.span("film")
    known = people(data, 4)
    new = UserBatch(np.full(4, -1), known.history, known.keys)
    adjacency = normalized_adjacency(data.matrix, USER_EXPONENT, 0.0)[:4]
    everywhere = NetworkPath(data, vectors, USER_EXPONENT, 0.5, ["film"])
    for batch, own in (
        (known, vectors.users[:4].numpy()),
        (new, adjacency @ joint.estimate.numpy()),
    ):
        expected = cosines(own, adjacency @ joint.history.numpy(), joint.items[span])
        scores = everywhere.score(batch, "film")
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    without = NetworkPath(data, vectors, USER_EXPONENT, 0.0, ["film"])
    torch.testing.assert_close(without.score(known, "film"), without.score(new, "film"))


def test_a_history_in_the_domain_keeps_out_the_others(data, vectors):
    """The second person has lost what they did there, and comes from the joint graph."""
    span, apart, joint = data.span("film"), vectors.apart, vectors.joint
    history = data.matrix[:3].tolil()
    history[1, span] = 0
    batch = UserBatch(np.arange(3), history.tocsr(), np.arange(3))
    scores = NetworkPath(data, vectors, USER_EXPONENT, 0.5).score(batch, "film")
    for person, graph, columns in ((0, apart, span), (1, joint, slice(None)), (2, apart, span)):
        seen = history[[person]].toarray()[:, columns]
        summed = seen @ graph.history[columns].numpy() / seen.sum() ** USER_EXPONENT
        own = vectors.users[[person]].numpy()
        expected = cosines(own, summed, graph.items[span])[0]
        np.testing.assert_allclose(scores[person], expected, rtol=1e-4, atol=1e-5)


def test_each_domain_apart_is_that_domain_alone(data):
    """Propagated together, with the parameters that all share, each as if there were no other."""
    make = partial(InterestEncoder, dim=4, num_layers=2, semantic_weight=0.0, semantic_neighbors=3)
    # Some people are active in one domain only.
    cut = data.matrix.tolil()
    cut[:30, data.span("book")] = 0
    cut[40:60, data.span("film")] = 0
    data = replace(data, matrix=sp.csr_matrix(cut), similar=None)
    encoder = make(data, generator=np.random.default_rng(0))
    matrix, who = domains_apart(data)
    assert len(who) == 120 + 70
    scale = torch.from_numpy(inverse_power(data.popularity, ITEM_EXPONENT)).unsqueeze(1)

    def exported(matrix, who=None):
        adjacency = normalized_adjacency(matrix, USER_EXPONENT, ITEM_EXPONENT)
        return encoder.export(Propagator(adjacency), scale, who)

    together = exported(matrix, who)
    for domain in data.domains:
        span = data.span(domain)
        alone = sp.lil_matrix(data.matrix.shape, dtype=np.float32)
        alone[:, span] = data.matrix[:, span]
        expected = exported(alone.tocsr())
        torch.testing.assert_close(together.items[span], expected.items[span])
        torch.testing.assert_close(together.history[span], expected.history[span])


def test_a_history_adds_up_to_the_person_of_the_propagation(data):
    encoder = InterestEncoder(
        data,
        dim=4,
        num_layers=2,
        semantic_weight=1.0,
        semantic_neighbors=3,
        generator=np.random.default_rng(0),
    )
    adjacency = Propagator(normalized_adjacency(data.matrix, USER_EXPONENT, ITEM_EXPONENT))
    scale = torch.from_numpy(inverse_power(data.popularity, ITEM_EXPONENT)).unsqueeze(1)
    own = encoder.parameters["user"]
    users, items = encoder.layers(adjacency, encoder.base(), own)
    person, item = (torch.nn.functional.normalize(sum(layers)) for layers in (users, items))
    vectors = NetworkVectors(own.detach(), encoder.export(adjacency, scale))
    span = data.span("film")
    scores = NetworkPath(data, vectors, USER_EXPONENT, 1.0).score(people(data, 9), "film")
    torch.testing.assert_close(scores, (person[:9] @ item[span].T).detach())


def test_where_nobody_crosses_there_is_one_graph(plain_graph):
    assert make_model("interest-gnn", steps=1).fit(plain_graph).vectors_.apart is None


@pytest.mark.parametrize(
    ("good", "held_in", "expected"),
    [
        (["film"], ["book", "film"], ["film"]),
        ([], ["book", "film"], []),
        (["book", "film"], ["book", "film"], ["book", "film"]),
        # What held-out rows do not say of a domain is as over all of them.
        (["book", "film"], ["film"], ["book", "film"]),
    ],
)
def test_other_domains_are_used_where_they_clearly_help(log, good, held_in, expected):
    """In the graphs apart all items are alike; the joint one tells tastes, or confuses them."""
    held = log.sample(frac=1, random_state=0).drop_duplicates(["user_id", "domain"])
    data = TrainingData.from_graph(build_graph(log.drop(held.index), encoder="none"))
    taste = [int(item[1:]) % 3 for ids in data.items.values() for item in ids.ids]
    known, same = torch.eye(3)[taste], torch.ones(len(taste), 3)
    told = known.clone()
    for domain in set(data.domains) - set(good):
        told[data.span(domain)] = known[data.span(domain)].roll(1, dims=1)
    vectors = NetworkVectors(
        users=torch.zeros(data.n_users, 3),
        joint=GraphVectors(told, known, known),
        apart=GraphVectors(same, same, same),
    )

    def no_others(users, domain):
        span = data.span(domain)
        seen = users.history[:, span].tocoo()
        row, column = (torch.from_numpy(part.astype(np.int64)) for part in (seen.row, seen.col))
        warm = torch.from_numpy(data.warm[span].astype(np.float32))
        return PathScores(len(users), {}, row, column, warm), torch.ones(len(users), 4)

    choice = NetworkChoice(
        network=partial(NetworkPath, data, vectors, USER_EXPONENT),
        others=no_others,
        blend=Blend.default(["gnn"]),
        data=data,
        rows=ValidationRows.of(InteractionLog(held[held.domain.isin(held_in)]), data),
        seed=0,
    )
    assert list(choice.joint_domains(1.0)) == expected


def test_a_domain_that_is_not_there_is_named(graph):
    with pytest.raises(ConfigError, match=r"joint_domains.*'music'.*book, film"):
        make_model("interest-gnn", joint_domains=["music"]).fit(graph)
