"""Reports: every file is there, reads back, and the page stands on its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from eval import (
    EvaluationResult,
    compare_results,
    comparison_markdown,
    draw,
    evaluate,
    learning_curve,
    result_markdown,
    write_comparison,
    write_report,
)
from eval.reports.tables import overview
from eval.reports.verdict import comparison_verdict, result_verdict
from graphgen.errors import ConfigError, StorageError


@pytest.fixture
def result(world):
    found = evaluate(world.scorer, world.truth, k=(5, 20), bootstrap=50)
    return replace(found, name="ours <&> co")


@pytest.fixture
def comparison(world, result):
    noise = world.recommendations(20).drop(columns="score")
    noise["rank"] = noise.groupby(["user_id", "domain"])["rank"].transform(lambda r: len(r) + 1 - r)
    other = evaluate(noise, world.truth, k=(5, 20), bootstrap=50)
    return compare_results({"ours": result, "noise": other}, bootstrap=50, permutations=99)


def test_files_and_loading(result, tmp_path):
    folder = write_report(result, tmp_path / "report")
    assert sorted(path.name for path in folder.iterdir()) == [
        "metrics.csv",
        "metrics.json",
        "per_user.parquet",
        "report.html",
        "report.md",
    ]
    loaded = EvaluationResult.load(folder)
    pd.testing.assert_frame_equal(loaded.summary, result.summary, check_dtype=False)
    pd.testing.assert_frame_equal(loaded.per_user, result.per_user, check_dtype=False)
    assert result_markdown(loaded) == result_markdown(result)
    assert json.loads((folder / "metrics.json").read_text())["schema_version"] == 2
    assert len(pd.read_csv(folder / "metrics.csv")) == len(result.summary)
    write_report(result, folder, overwrite=True)


def test_folders_of_others_and_newer_reports_are_left_alone(result, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(StorageError, match="not written by interest"):
        write_report(result, tmp_path / "mine")
    folder = write_report(result, tmp_path / "report")
    content = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**content, "schema_version": 99}))
    with pytest.raises(StorageError, match="newer"):
        EvaluationResult.load(folder)
    with pytest.raises(StorageError, match="is not a report"):
        EvaluationResult.load(tmp_path / "nowhere")


def test_markdown_shows_values_with_intervals(result, comparison):
    text = result_markdown(result)
    assert "# ours <&> co" in text
    value = result.value("recall@20")
    assert re.search(rf"\| Recall@20 \| {value:.4f} \[0\.\d{{4}}, 0\.\d{{4}}\]", text)
    assert "coverage" not in result.meta["not_computed"]
    table = comparison_markdown(comparison)
    assert re.search(r"\| (ours|noise) \|.* \*\*0\.\d{4}\*\*", table)
    assert "Holm correction" in table


def test_a_note_of_all_systems_stands_once(comparison, tmp_path):
    for name, result in comparison.results.items():
        result.meta["notes"] = ["Of all.", f"Of {name}."]
    page = write_comparison(comparison, tmp_path / "report") / "report.html"
    for text in (comparison_markdown(comparison), page.read_text(encoding="utf-8")):
        assert [text.count(note) for note in ("Of all.", "Of ours.", "Of noise.")] == [1, 1, 1]


def test_the_overview_fits_a_screen_and_marks_no_winner_among_equals(comparison, result):
    header, rows, left_out = overview(comparison)
    assert header == ["slice", "users", "system", "NDCG@20", "Recall@20", "AUC"]
    assert [row[2] for row in rows] == ["ours", "noise"] * (len(rows) // 2)
    assert len(rows) <= 30 and left_out == len(comparison.slices) - len(rows) // 2
    assert rows[0][:2] == ["all users", f"{result.per_user.user_id.nunique():,}"]
    assert rows[1][:2] == ["", ""]
    assert rows[0][3].endswith(" *") or rows[1][3].endswith(" *")
    twins = compare_results({"a": result, "b": result}, bootstrap=50, permutations=99)
    assert not any(cell.endswith(("*", "†")) for row in overview(twins)[1] for cell in row)


def test_a_report_opens_with_a_verdict_data_and_date(comparison, result, tmp_path):
    page = (write_comparison(comparison, tmp_path / "both") / "report.html").read_text()
    value = f"{result.value('ndcg@20'):.4f}"
    assert f"<p>ours ranks best: NDCG@20 {value}, " in page
    # 99 sign patterns are too few for a p-value that Holm leaves below .05.
    assert ", though not significantly different from noise." in page
    assert f"{len(result.per_user.user_id.unique())} users" in page
    assert f"{result.meta['n_truth_rows']} test rows of 40 users. Evaluated on 20" in page
    assert comparison_verdict(comparison) in comparison_markdown(comparison)
    twins = compare_results({"a": result, "b": result}, bootstrap=50, permutations=99)
    assert comparison_verdict(twins) == "No system is ahead of another."
    low, high = sorted(result.value("ndcg@20", domain=d) for d in ("d0", "d1"))
    text = result_verdict(result)
    assert f"({high:.4f})" in text and text.index(f"({high:.4f})") < text.index(f"({low:.4f})")


def test_results_show_themselves_in_a_notebook(comparison, result):
    assert "ours &lt;&amp;&gt; co" in result._repr_html_()
    for shown in (result, comparison):
        html = shown._repr_html_()
        page = Page(html)
        assert not page.open and "script" not in page.tags
        assert f"{result.value('ndcg@20'):.4f}" in html
        assert "40 users" in html


def test_single_pictures_for_notebooks(comparison, result):
    for found in (comparison, result):
        by_domain, by_slice = draw(found), draw(found, "recall@20", by="slice")
        assert repr(by_domain).startswith("NDCG@20 by domain. ")
        for picture in (by_domain, by_slice):
            svg = picture._repr_svg_()
            assert svg.startswith("<svg") and "currentColor" not in svg
        assert "setting: cold_item" in by_slice.svg
    with pytest.raises(ConfigError, match="no metric 'luck'"):
        draw(result, "luck")


def test_a_learning_curve_has_the_validation_where_it_was_measured():
    history = [{"step": 1.0, "loss": 2.0}, {"step": 2.0, "loss": 1.0, "metric": 0.3}]
    assert "NDCG@20, validation" in learning_curve(history).svg
    assert "NDCG@20" not in learning_curve(history[:1]).svg
    with pytest.raises(ConfigError, match="no learning curve"):
        learning_curve([])


def written(request, kind, path):
    write = write_report if kind == "result" else write_comparison
    return write(request.getfixturevalue(kind), path)


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v]
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", ["result", "comparison"])
def test_the_page_is_well_formed_and_needs_nothing_else(kind, request, tmp_path):
    folder = written(request, kind, tmp_path / "report")
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert not page.open
    assert page.tags.count("svg") >= 3
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(link.startswith("#") for link in page.links)
    assert "url(http" not in text
    assert "#010203" not in text
    ids = re.findall(r'id="([^"]+)"', text)
    clips = [i for i in ids if len(i) == 11 and i.startswith("p")]
    assert len(clips) == len(set(clips))


def test_the_same_result_gives_the_same_page(result, tmp_path):
    pages = [
        (write_report(result, tmp_path / name) / "report.html").read_text()
        for name in ("one", "two")
    ]
    assert pages[0] == pages[1]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
@pytest.mark.parametrize("kind", ["result", "comparison"])
@pytest.mark.parametrize("width", [380, 1200])
def test_a_browser_lays_the_page_out_within_its_width(kind, request, tmp_path, width):
    written(request, kind, tmp_path / "report")
    probe = tmp_path / "probe.html"
    # The page itself has no script; a frame of the given width around it measures it.
    probe.write_text(
        f'<iframe id="f" src="report/report.html" style="width:{width}px;height:900px;border:0">'
        "</iframe><script>onload = () => { const d = document.getElementById('f').contentDocument;"
        "document.title = [d.documentElement.scrollWidth, d.querySelectorAll('svg').length,"
        "Math.min(...[...d.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width))]"
        ".join(' '); };</script>"
    )
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    command += ["--disable-sync", "--allow-file-access-from-files", "--virtual-time-budget=5000"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", probe.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stdout[:500]
    scroll_width, pictures, narrowest = map(float, title[1].split())
    assert scroll_width <= width
    assert pictures >= 3
    assert narrowest > 250
    assert np.isfinite(narrowest)
