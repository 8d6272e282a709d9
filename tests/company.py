"""The files of a small media company, as four systems export them.

``python tests/company.py FOLDER`` writes them. Books are exported by a German shop (``;``, decimal
commas, day-first dates), films have ratings and unix times, music has plays, likes and skips,
courses have enrolments, completions and refunds. Half of the items and customers are English, a
quarter each German and Chinese.
"""

import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

TEXTS = Path(__file__).with_name("graphgen") / "three_languages.toml"
LANGUAGES = ["en", "de", "zh"]
# Items, and the mean number of interactions of a customer, at full size.
DOMAINS = {"books": (200, 8), "films": (200, 9), "music": (190, 7), "courses": (80, 3)}
START, DAYS = pd.Timestamp("2025-01-01"), 330


def items_of(domain, count, rng):
    """Return item, language, theme, title and text of the items of a domain."""
    themes = tomllib.loads(TEXTS.read_text(encoding="utf-8"))
    rows = []
    for i in range(count):
        language = LANGUAGES[rng.choice(3, p=[0.5, 0.25, 0.25])]
        theme = list(themes)[i % len(themes)]
        first, second = rng.choice(themes[theme][language], size=2, replace=False)
        title = first.replace(":", ",").split(",")[0].split(",")[0].split(".")[0][:60]
        rows.append(
            (f"{domain[0]}{i:03d}", language, theme, f"{title} ({i})", f"{first}. {second}")
        )
    return pd.DataFrame(rows, columns=["item", "language", "theme", "title", "text"])


def interactions(items, mean, customers, tastes, languages, rng):
    """Return customer, item, liking (0 to 1) and time of a domain."""
    theme = pd.factorize(items.theme, sort=True)[0]
    language = items.language.to_numpy()
    popular = rng.pareto(2.5, len(items)) + 0.2
    rows = []
    for customer in range(customers):
        if rng.random() < 0.25:  # not everybody is in every domain
            continue
        fit = 0.06 + tastes[customer][theme]
        chances = popular * fit * np.where(language == languages[customer], 1.0, 0.12)
        count = min(2 + rng.poisson(mean - 1), len(items) // 3)
        for item in rng.choice(len(items), size=count, replace=False, p=chances / chances.sum()):
            liking = np.clip(0.25 + 0.75 * fit[item] + rng.normal(0, 0.18), 0, 1)
            rows.append((f"K{customer:04d}", items.item[item], liking))
    table = pd.DataFrame(rows, columns=["customer", "item", "liking"])
    seconds = rng.integers(0, DAYS * 86_400, len(table))
    return table.assign(time=START + pd.to_timedelta(seconds, unit="s")).sort_values("time")


def write_company(folder, *, customers=1200, share=1.0, seed=1):
    """Write logs and item tables of the four domains; `share` scales the number of items."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    tastes = rng.dirichlet(np.full(6, 0.25), customers)
    languages = rng.choice(LANGUAGES, customers, p=[0.5, 0.25, 0.25])
    tables, logs = {}, {}
    for domain, (count, mean) in DOMAINS.items():
        tables[domain] = items_of(domain, round(count * share), rng)
        logs[domain] = interactions(tables[domain], mean, customers, tastes, languages, rng)

    items, log = tables["books"], logs["books"]
    half_stars = (np.round(log.liking * 8) / 2 + 1).map("{:.1f}".format)
    pd.DataFrame(
        {
            "Kunde": log.customer,
            "ISBN": log.item,
            "Bewertung": half_stars.str.replace(".", ","),
            "Datum": log.time.dt.strftime("%d.%m.%Y %H:%M"),
        }
    ).to_csv(folder / "books.csv", sep=";", index=False)
    pd.DataFrame(
        {
            "Artikel": items.item,
            "Titel": items.title,
            "Beschreibung": items.text,
            "Rubrik": items.theme,
            "Preis": [f"{value:.2f}".replace(".", ",") for value in rng.uniform(5, 40, len(items))],
            "lieferbar": np.where(rng.random(len(items)) < 0.8, "ja", "nein"),
        }
    ).to_csv(folder / "artikel.csv", sep=";", index=False)

    items, log = tables["films"], logs["films"]
    pd.DataFrame(
        {
            "customer_id": log.customer,
            "film": log.item,
            "stars": np.round(log.liking * 4).astype(int) + 1,
            "unix": log.time.astype("datetime64[s]").astype("int64"),
        }
    ).to_csv(folder / "films.csv", index=False)
    items.rename(
        columns={"item": "movieId", "title": "name", "text": "description", "theme": "genres"}
    ).to_csv(folder / "film_items.csv", index=False)

    items, log = tables["music"], logs["music"]
    action = np.select([log.liking > 0.75, log.liking < 0.3], ["like", "skip"], "play")
    music = pd.DataFrame(
        {"listener": log.customer, "track": log.item, "action": action, "played_at": log.time}
    )
    again = music.sample(frac=0.3, random_state=seed).assign(action="play")
    pd.concat([music, again]).to_csv(folder / "music.csv", index=False)
    items.rename(columns={"item": "track", "text": "lyrics", "theme": "style"}).to_csv(
        folder / "tracks.csv", index=False
    )

    items, log = tables["courses"], logs["courses"]
    courses = log.rename(columns={"customer": "member_id", "item": "course", "time": "when"})
    ended = courses.assign(
        when=courses.when + pd.Timedelta(days=20),
        event=np.select([log.liking > 0.6, log.liking < 0.3], ["complete", "refund"], ""),
    )
    both = pd.concat([courses.assign(event="enrol"), ended[ended.event != ""]])
    both.sort_values("when").drop(columns="liking").to_csv(folder / "courses.csv", index=False)
    price = rng.integers(10, 90, len(items))
    items.rename(columns={"item": "course", "title": "course name", "text": "about"}).assign(
        price=price
    ).to_csv(folder / "course_list.csv", index=False)

    group = pd.DataFrame({"user_id": [f"K{i:04d}" for i in range(customers)], "group": languages})
    group.to_csv(folder / "customers.csv", index=False)


if __name__ == "__main__":
    write_company(sys.argv[1])
