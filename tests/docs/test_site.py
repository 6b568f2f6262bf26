"""The site: every page is in it and in its navigation, and what leads nowhere fails the build."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import PAGES, ROOT, Page

from cloudretry.schema import REPOSITORY


def build(pages: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools/docsite/build.py", pages, site]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT / "docs", folder)
    assert (built.returncode, built.stderr) == (0, "")
    return folder


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.relative_to(site) for path in site.rglob("*.html")}
    assert built == pages | {Path("index.html"), Path("search.html")}


def test_the_first_page_leads_to_the_index(site: Path) -> None:
    assert 'http-equiv="refresh" content="0; url=README.html"' in text_of(site / "index.html")


def test_the_navigation_has_the_groups_of_the_index_in_their_order(site: Path) -> None:
    groups = re.findall(r'class="caption-text">([^<]+)<', text_of(site / "troubleshooting.html"))
    assert groups == re.findall(r"^## (.+)$", Page(Path("docs/README.md")).text, re.MULTILINE)
    assert groups == ["Start", "Concepts", "Operate", "Reference", "Develop"]


def test_each_page_is_in_the_navigation_once(site: Path) -> None:
    (tree,) = re.findall(r'<div class="sidebar-tree">(.*?)</div>', text_of(site / "README.html"), re.DOTALL)
    linked = re.findall(r'href="([\w/-]+\.html)"', tree)
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(linked) == sorted(pages - {"README.html"})


def test_the_search_knows_the_words_of_the_pages(site: Path) -> None:
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", text_of(site / "searchindex.js"), re.DOTALL)[1])
    page = index["docnames"].index("never-twice")
    hits = index["terms"]["idempot"]
    assert page in (hits if isinstance(hits, list) else [hits])


def test_diagrams_are_drawn_and_not_shown_as_code(site: Path) -> None:
    for page in ("when-it-fires.html", "never-twice.html"):
        assert re.search(r'<pre +class="mermaid">', text_of(site / page))


def test_links_out_of_the_documentation_lead_to_the_repository(site: Path) -> None:
    assert f'href="{REPOSITORY}/blob/main/README.md"' in text_of(site / "README.html")
    for page in site.rglob("*.html"):
        assert not re.search(r'href="(\.\./)*(README|CONTRIBUTING|CHANGELOG)\.md', text_of(page)), page


def test_every_link_and_anchor_of_the_site_is_there(site: Path) -> None:
    pages = {page: text_of(page) for page in site.rglob("*.html") if page.name != "search.html"}
    ids = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in pages.items()}
    dead = []
    for page, text in pages.items():
        for link in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', text):
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            path = (page.parent / target).resolve() if target else page
            if not path.exists() or (anchor and path in ids and anchor not in ids[path]):
                dead.append(f"{page.name}: {link}")
    assert dead == []


def test_what_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    wrong = {
        "lost.md": ("# In no list", "document isn't included in any toctree"),
        "configuration.md": ("[x](gone.md)", "'gone.md'"),
        "dynamic.md": ("[x](never-twice.md#gone)", "'gone'"),
        "emulator.md": ("[x](#gone)", "'gone'"),
        "troubleshooting.md": ("[x](../gone.py)", "'../gone.py'"),
    }
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs)
    outside = {
        (page.path.parent / link.partition("#")[0]) for page in PAGES for link in page.links if link[:3] == "../"
    }
    for path in outside:
        # An empty file of that name will do.
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.resolve().exists():
            place.resolve().touch()
    for name, (text, _) in wrong.items():
        before = text_of(docs / name) if (docs / name).exists() else ""
        (docs / name).write_text(f"{before}\n{text}\n", encoding="utf-8")
    built = build(docs, tmp_path / "built")
    assert built.returncode == 1
    said = {
        Path(place).name: words for place, words in re.findall(r"^(\S+\.md)[:\d]*: WARNING: (.*)$", built.stderr, re.M)
    }
    assert said.keys() == wrong.keys(), built.stderr
    for name, (_, words) in wrong.items():
        assert words in said[name]
