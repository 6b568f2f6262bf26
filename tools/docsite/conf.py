"""Sphinx's configuration: the site from docs/ as it stands, as `make docs` builds it.

The pages are plain Markdown that GitHub shows as well, so nothing in them is meant for the site alone. What the site
needs beside them is taken from them: the navigation from the lists in the index pages, and links that lead out of
docs/ become links to the repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from cloudretry.schema import REPOSITORY
from cloudretry.version import __version__

INDEX = "README"
"""What the page that lists the others of a folder is called."""

project = "pulumi-cloudretry"
author = "the pulumi-cloudretry contributors"
release = version = __version__

extensions = ["myst_parser", "sphinxcontrib.mermaid"]
root_doc = INDEX
nitpicky = True
highlight_language = "none"
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["epub.unknown_project_files"]

html_theme = "furo"
html_title = f"{project} {__version__}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "start.html"}
templates_path = ["templates"]
html_copy_source = False
html_show_copyright = False
html_use_index = False
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": ["edit"],
}
mermaid_height = "auto"


def list_pages(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Give an index page the navigation that its lists stand for: one group for each heading of the second level."""
    if docname.rpartition("/")[2] == INDEX:
        source[0] += "".join(_toctrees(source[0]))


def _toctrees(text: str) -> Iterator[str]:
    listed: set[str] = set()
    for group in re.split(r"^(?=## )", text, flags=re.MULTILINE):
        found = re.match(r"## (.+)", group)
        pages = [page for page in re.findall(r"\]\(([\w-]+|[\w-]+/README)\.md\)", group) if page not in listed]
        listed.update(pages)
        if pages:
            caption = f":caption: {found[1]}\n" if found else ""
            yield "\n".join(["\n\n```{toctree}", f":hidden:\n{caption}", *dict.fromkeys(pages), "```\n"])


class LinksOutside(SphinxTransform):
    """A link to what is in the repository, but not in docs/, leads to the repository."""

    default_priority = 5

    def apply(self, **_options: Any) -> None:
        """Replace the links of this page."""
        for node in [*self.document.findall(nodes.Element)]:
            if _is_relative_link(node) and (uri := self._outside(node)):
                node.replace_self(nodes.reference("", "", *node.children, refuri=uri))

    def _outside(self, node: nodes.Element) -> str:
        target, _, anchor = str(node["reftarget"]).partition("#")
        if node.get("refdomain") == "doc":
            # MyST has found a page, by its path from docs/ and without what its name ends with.
            path, anchor = Path(self.env.srcdir, f"{target}.md"), node.get("reftargetid") or ""
        else:
            path = Path(self.env.doc2path(self.env.docname)).parent / target
        path, repository = Path(os.path.normpath(path)), Path(self.env.srcdir).parent
        if path.is_relative_to(self.env.srcdir) or not path.is_relative_to(repository) or not path.exists():
            return ""
        kind = "tree" if path.is_dir() else "blob"
        place = path.relative_to(repository).as_posix()
        return f"{REPOSITORY}/{kind}/main/{place}{f'#{anchor}' if anchor else ''}"


def _is_relative_link(node: nodes.Element) -> bool:
    return isinstance(node, addnodes.pending_xref | addnodes.download_reference) and node.get("reftype") == "myst"


def setup(app: Sphinx) -> None:
    """Connect the above."""
    app.connect("source-read", list_pages)
    app.add_transform(LinksOutside)
