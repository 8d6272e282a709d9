"""mlxtend's rules between the items of two domains, beside those of `interest rules mine`.

interest rules mine graph/ --levels item --fdr 1 --per-pair 1000000 --out rules.csv
python mlxtend_rules.py train.csv rules.csv beauty toys
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd

# The defaults of `interest rules mine`: users of an item, and of both together.
MIN_USERS, TOGETHER = 5, 2
MEASURES = ["support", "confidence", "lift", "conviction"]


def main(train: str, ours: str, one: str, other: str) -> None:
    """Print seconds, memory, and the largest difference of each measure."""
    from mlxtend.frequent_patterns import association_rules, fpgrowth

    log = pd.read_csv(train, dtype=str)
    log = log[log.domain.isin([one, other])].drop_duplicates(["user_id", "domain", "item_id"])
    log = log[log.groupby("user_id").domain.transform("nunique") == 2]
    users = log.user_id.nunique()
    log["key"] = log.domain + "=" + log.item_id
    log = log[log.groupby("key").user_id.transform("size") >= MIN_USERS]
    start = time.process_time()
    table = pd.crosstab(log.user_id, log.key).astype(bool)
    # Users without an item that counts are users all the same.
    table = table.reindex(sorted(set(table.index)) + ["-"] * (users - len(table)), fill_value=False)
    found = fpgrowth(table, min_support=(TOGETHER - 0.5) / users, max_len=2, use_colnames=True)
    rules = association_rules(found, metric="lift", min_threshold=1 + 1e-9, num_itemsets=users)
    seconds = time.process_time() - start
    ends = {"source": rules.antecedents, "target": rules.consequents}
    rules = rules.assign(**{name: side.map(min) for name, side in ends.items()})
    domains = [rules[name].str.partition("=")[0] for name in ends]
    rules = rules[domains[0] != domains[1]].set_index(["source", "target"])[MEASURES].sort_index()
    mined = pd.read_csv(ours, dtype={"source": str, "target": str})
    mined = mined[mined.source_domain.isin([one, other]) & mined.target_domain.isin([one, other])]
    mined = mined[mined.source_domain != mined.target_domain]
    for name in ends:
        mined[name] = mined[f"{name}_domain"] + "=" + mined[name]
    mined = mined.set_index(["source", "target"])[MEASURES].sort_index()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"mlxtend: {len(rules):,} rules in {seconds:.1f} CPU seconds, {memory:.2f} GB")
    print(f"the same rules: {rules.index.equals(mined.index)}")
    both = rules.index.intersection(mined.index)
    finite = [frame.loc[both].replace(np.inf, 0) for frame in (rules, mined)]
    print((finite[0] - finite[1]).abs().max().to_string())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("train", "ours", "one", "other"):
        parser.add_argument(name)
    main(**vars(parser.parse_args()))
