"""The page in a real browser: every view, by keyboard, on a phone, and nothing from outside."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
SHOWN = "main[aria-busy=false]"


@pytest.fixture(scope="module")
def name(service):
    return service.names.user(str(service.data.users.ids[7]))


@pytest.fixture
def page(browser, url):
    """A page whose console must stay silent, and that must ask nobody else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made = context.new_page()
    made.set_default_timeout(15_000)
    noise, foreign = [], []
    made.on("console", lambda m: noise.append(m.text) if m.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: noise.append(str(error)))
    own = (url, "data:", "blob:")
    made.on("request", lambda r: None if r.url.startswith(own) else foreign.append(r.url))
    yield made
    context.close()
    assert noise == []
    assert foreign == []


def open_(page, url, view):
    page.goto(f"{url}/{view}")
    page.wait_for_selector(SHOWN)


def test_search_by_keyboard_leads_to_an_item(page, url, service):
    title = str(service.names.titles["book"][0])
    open_(page, url, "")
    page.keyboard.press("/")
    page.keyboard.type(title)
    page.wait_for_selector("[role=option]")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("[role=option]", "aria-selected") == "true"
    page.keyboard.press("Enter")
    page.wait_for_selector(f"h1:text-is({title!r})")
    assert "#/item/book/" in page.url


def test_recommendations_and_their_reasons(page, url, name, service):
    open_(page, url, f"#/user/{name}")
    expected = service.recommendations(service.user(name), None, 10)
    assert page.locator("section.card h2").all_inner_texts() == [p.domain for p in expected.lists]
    first = page.locator("section.card").first
    assert first.locator("li a").all_inner_texts()[:3] == [
        item.title for item in expected.lists[0].items[:3]
    ]
    first.locator(".why").first.click()
    sentence = page.wait_for_selector(".reasons .sentence").inner_text()
    item = expected.lists[0].items[0]
    assert sentence == service.explain(name, item.domain, item.item_id)["sentence"]
    page.get_by_role("button", name="film", exact=True).click()
    expect(page.locator("section.card")).to_have_count(1)
    assert page.url.endswith("?domain=film")


def test_a_node_is_expanded(page, url, name):
    open_(page, url, f"#/user/{name}/network")
    page.wait_for_selector(".ig-canvas canvas")
    count = "document.querySelector('.network').explorer.cy.nodes().not('.more').length"
    before = page.evaluate(count)
    live = page.locator("#live")
    page.evaluate("""() => {
        const { explorer } = document.querySelector('.network');
        explorer.focus(explorer.cy.nodes('[!center]').not('.more')[0].id());
    }""")
    page.locator(".ig-acts button", has_text="Expand").click()
    expect(live).to_contain_text("nodes around")
    assert page.evaluate(count) > before


def test_the_slider_changes_the_new_interests_and_the_link(page, url, name, service):
    open_(page, url, f"#/user/{name}/expansions")
    page.locator("#boldness").focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    bold = [row.interest for row in service.expansions(name, None, 1.0, 6).expansions]
    expect(page.locator("article h2")).to_have_text(bold)
    assert "boldness=1" in page.url
    page.reload()
    page.wait_for_selector(SHOWN)
    assert page.input_value("#boldness") == "1"


def test_what_if_changes_the_lists_at_once(page, url, name, service):
    open_(page, url, f"#/user/{name}/whatif")
    page.wait_for_selector("text=0 changes")
    title = str(service.names.titles["film"][5])
    page.locator("main [role=combobox]").fill(title)
    page.locator("main [role=option]").first.click()
    page.wait_for_selector("text=1 change;")
    assert page.locator(".history .added").count() == 1
    assert page.locator(".up, .down").count() > 0
    page.locator(".history input[type=checkbox]").first.uncheck()
    page.wait_for_selector("text=2 changes;")
    page.get_by_role("button", name="Undo all").click()
    page.wait_for_selector("text=0 changes;")
    assert page.locator(".up, .down").count() == 0


def test_somebody_new_gets_lists(page, url, service):
    open_(page, url, "#/user/-/whatif")
    title = str(service.names.titles["film"][5])
    page.locator("main [role=combobox]").fill(title)
    page.locator("main [role=option]").first.click()
    page.wait_for_selector("text=1 item;")
    assert page.locator("section.card").count() == len(service.data.domains)


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ("#/", "Begin with a user"),
        ("#/user/{user}", "Recommendations"),
        ("#/user/{user}/profile", "Change over time"),
        ("#/user/{user}/network", "other users"),
        ("#/user/{user}/expansions?boldness=0.5", "Boldness"),
        ("#/user/{user}/whatif", "History"),
        ("#/user/{user}/map", "The line is the user's way"),
        ("#/item/{item}", "Similar items"),
        ("#/interest/{interest}", "Typical items"),
        ("#/map", "Interest map"),
        ("#/migration", "All moves"),
        ("docs", "GET /api/v1/search"),
        ("login", "Token"),
    ],
)
def test_every_view_is_accessible_wide_and_on_a_phone(page, url, service, name, view, text):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    item = f"book/{quote(str(service.data.items['book'].ids[0]), safe='')}"
    interest = quote(service.names.interests[0], safe="")
    page.emulate_media(color_scheme="dark")
    for width, height in ((1280, 900), (360, 740)):
        page.set_viewport_size({"width": width, "height": height})
        page.goto("about:blank")
        page.goto(f"{url}/{view.format(user=name, item=item, interest=interest)}")
        page.get_by_text(text).first.wait_for()
        if view.startswith("#"):
            page.wait_for_selector(SHOWN)
        found = axe.run(page).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert serious == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if "{" in view or view == "#/":
            assert re.search(r"\S", page.locator("h1").inner_text())


def test_the_theme_stays(page, url):
    open_(page, url, "")
    before = page.evaluate("document.documentElement.dataset.theme")
    page.get_by_role("button", name="Dark or light").click()
    page.reload()
    page.wait_for_selector(SHOWN)
    assert page.evaluate("document.documentElement.dataset.theme") != before
