"""PyG's LightGCN on the joint graph of all domains, after its own example; see README.md."""

import numpy as np
from common import Rival, main
from problem import factors

BATCHES_A_LOOK = 40
MOST_LOOKS = 500


def lightgcn(problem, setting, seed):
    import torch
    from torch_geometric.nn import LightGCN

    torch.manual_seed(seed)
    user = torch.from_numpy(problem.user)
    item = torch.from_numpy(problem.item) + problem.n_users
    edges = torch.stack([torch.cat([user, item]), torch.cat([item, user])])
    n_nodes = problem.n_users + problem.n_items
    ones = torch.ones(edges.shape[1])
    graph = torch.sparse_coo_tensor(edges, ones, (n_nodes, n_nodes)).coalesce().to_sparse_csr()
    model = LightGCN(n_nodes, setting["embedding_dim"], setting["num_layers"])
    optimizer = torch.optim.Adam(model.parameters(), lr=setting["learning_rate"])
    for _ in range(MOST_LOOKS):
        for _ in range(BATCHES_A_LOOK):
            batch = torch.randint(len(user), (setting["batch_size"],))
            negative = torch.randint(problem.n_users, n_nodes, batch.shape)
            pairs = torch.stack([user[batch].repeat(2), torch.cat([item[batch], negative])])
            optimizer.zero_grad()
            liked, other = model(graph, pairs).chunk(2)
            loss = model.recommendation_loss(
                liked, other, node_id=pairs.unique(), lambda_reg=setting["lambda_reg"]
            )
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            vectors = model.get_embedding(graph)
        yield factors(problem, *np.split(vectors.numpy(), [problem.n_users]))


SETTINGS = [
    {"num_layers": layers, "learning_rate": rate, "lambda_reg": weight}
    for layers, rate, weight in (
        (2, 0.01, 1e-4),
        (3, 0.005, 1e-4),
        (1, 0.01, 1e-3),
        (2, 0.02, 1e-4),
    )
]
RIVALS = {"LightGCN": Rival(lightgcn, SETTINGS, fixed={"embedding_dim": 64, "batch_size": 8192})}

if __name__ == "__main__":
    main(RIVALS)
