"""The pages of docs/: they build without a warning, their links lead somewhere, and what they name is there."""

import contextlib
import html
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from markdown_it import MarkdownIt

from cpt_dynamics import cli, config, experiments, laws, report

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), ROOT / "config/README.md", *DOCS.rglob("*.md")])
BUILD = [sys.executable, "-m", "sphinx", "-E", "-W", "--keep-going", "-q", "-b", "html"]  # as `make docs` does
WORD = re.compile(r"[a-z][a-z0-9_-]*")
OWN_RULES = {"plot", "all", "data", "runs", "fits", "figures", "paper", "fetch_public_curves"}  # of workflow/rules
OWN_RULES |= {"benchmark", "law_paper"}
OWN_RULES |= {"gains"}  # the example of docs/adding-your-own.md


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def extension(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


docstrings, made, mathml = (extension(name) for name in ("docstrings", "made", "mathml"))


# --- links of the sources -----------------------------------------------------------------------------------


def links(text: str) -> list[str]:
    """Targets of the links and images of a Markdown text."""
    tokens = [child for token in MarkdownIt("commonmark").parse(text) for child in token.children or []]
    targets = [token.attrGet("href" if token.type == "link_open" else "src") for token in tokens]
    return [str(target) for target in targets if target]


@cache
def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and the site make them."""
    tokens = MarkdownIt("commonmark").parse(made.filled(page.read_text(encoding="utf-8")))
    heads = [tokens[i + 1].children or [] for i, token in enumerate(tokens) if token.type == "heading_open"]
    found: set[str] = set()
    for head in heads:
        text = "".join(token.content for token in head).strip().lower()
        slug = base = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while slug in found:
            number += 1
            slug = f"{base}-{number}"
        found.add(slug)
    return found


def wrong(page: Path, link: str) -> str | None:
    """What is wrong with a link of a page; None if nothing is. The network is not asked."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        fine = parts.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc) and " " not in link
        return None if fine else "is no https address"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.exists():
        return f"{target} does not exist"
    if ROOT not in target.parents:
        return "leads out of the repository"
    if parts.fragment and parts.fragment not in anchors(target):
        return f"{named(target)} has no heading {parts.fragment!r}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_of_the_sources_lead_somewhere(page: Path) -> None:
    found = {link: wrong(page, link) for link in links(page.read_text(encoding="utf-8"))}
    assert {link: reason for link, reason in found.items() if reason} == {}


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("findings.md", None),
        ("findings.md#the-claims", None),
        ("findings.md#finding-3", None),
        ("findings.md#the-claim", "no heading"),
        ("nowhere.md", "does not exist"),
        ("#where-to-go-from-here", None),
        ("#where", "no heading"),
        ("../../no-neighbour", "does not exist"),
        ("https://arxiv.org/abs/2505.07796", None),
        ("http://arxiv.org/abs/2505.07796", "no https"),
        ("https://arxiv", "no https"),
    ],
)
def test_the_check_of_links_sees_mistakes(link: str, reason: str | None) -> None:
    found = wrong(DOCS / "index.md", link)
    assert (found is None) if reason is None else reason in (found or "")


# --- what the sources name ----------------------------------------------------------------------------------


def code(page: Path) -> Iterator[str]:
    """The code of a page: spans, and the lines of blocks."""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "fence":
            yield from token.content.splitlines()
        yield from (child.content for child in token.children or [] if child.type == "code_inline")


def calls(program: str, page: Path) -> set[str]:
    """Plain words (no options, files or numbers) that follow a program's name in a page's code."""
    lines = [line.partition("#")[0].removeprefix("$ ").split() for line in code(page)]
    words = [[word for word in line[1:] if WORD.fullmatch(word)] for line in lines if line[:1] == [program]]
    return {word for found in words for word in (found[:1] if program == "cpt-dynamics" else found)}


@cache
def rules() -> set[str]:
    with contextlib.chdir(ROOT):
        return {*experiments.load(config.load([])).figures, *report.TABLES, *OWN_RULES}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_rules_and_targets_that_pages_name_are_there(page: Path) -> None:
    assert calls("cpt-dynamics", page) - set(cli.COMMANDS) == set()
    assert calls("snakemake", page) - rules() == set()
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert calls("make", page) - set(targets.split()) == set()


def test_commands_are_found_in_code() -> None:
    assert {"reproduce", "test"} <= calls("make", DOCS / "index.md")
    assert {"fig05", "table2"} <= calls("snakemake", DOCS / "reading-the-report.md")
    assert {"plan", "why"} <= calls("cpt-dynamics", DOCS / "reading-the-report.md")


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=named)
def test_files_that_pages_name_are_there(page: Path) -> None:
    named_files = {
        span for span in code(page) if re.fullmatch(r"(config|data/published|docs|src|workflow)/[\w./]+", span)
    }
    assert {name for name in named_files if not (ROOT / name).exists()} == set()


def test_laws_that_the_page_of_the_law_names_are_there() -> None:
    table = (DOCS / "the-law.md").read_text().partition("## Two areas")[0]
    names = {name for name in re.findall(r"`([a-z][a-z0-9_]*)`", table) if name != "code"}
    assert len(names) >= 19
    assert names - laws.LAWS.keys() == set()


def test_scales_that_pages_show_are_read_by_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    blocks = [block for page in PAGES for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S)]
    scales = [block for block in blocks if re.search(r"^scale:", block, re.M)]
    assert len(scales) >= 4
    for block in scales:
        (tmp_path / "mine.yaml").write_text(block)
        assert config.load([tmp_path / "mine.yaml"]).scale == yaml.safe_load(block)["scale"]


# --- the site -----------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Anchors, links and fetched files of a page of the site."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif file := given.get("src") or given.get("href", "").partition("#")[0]:  # an icon of the page has a # alone
            self.fetched.append(file)


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_the_site_builds_strictly_and_holds_together(tmp_path: Path) -> None:
    """One test, since each part needs the build: no warning, no dead link, nothing from elsewhere, all commands."""
    built = subprocess.run([*BUILD, "docs", str(tmp_path / "site")], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    site = tmp_path / "site"
    pages = {path: Page(path) for path in site.rglob("*.html")}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if parts.scheme:
                continue
            if not target.is_file() or (parts.fragment and parts.fragment not in pages[target].anchors):
                dead.append(f"{path.name}: {link}")
    assert dead == []
    elsewhere = [
        f"{path.name}: {file}"
        for path, page in pages.items()
        for file in page.fetched
        if urlsplit(file).netloc or not (path.parent / unquote(urlsplit(file).path)).is_file()
    ]
    assert elsewhere == []

    printed = text_of(site / "commands.html")
    assert [name for name in cli.COMMANDS if made.words([name, "--help"]).strip() not in printed] == []
    law = (site / "the-law.html").read_text()
    assert law.count("<math") > 30
    assert [name for name in laws.LAWS if f">{name}<" not in law] == []
    assert "<!-- made" not in "".join(path.read_text() for path in pages)


# --- what the pages are made with ----------------------------------------------------------------------------


def test_formulas_become_mathml() -> None:
    assert "<msub>" in mathml.mathml(r"\eta_1", block=False)
    assert 'display="block"' in mathml.mathml(r"\sum_{i} m_i", block=True)


def test_a_command_that_is_no_latex_stops_the_build() -> None:
    with pytest.raises(mathml.SphinxError, match=r"\\nonsense"):
        mathml.mathml(r"\nonsense{a}", block=True)


def test_parts_are_put_into_pages() -> None:
    assert "| `fig05` |" in made.filled("before\n<!-- made: figures -->\nafter")
    with pytest.raises(made.SphinxError, match="no part 'figure'"):
        made.filled("<!-- made: figure -->")


def test_help_of_parts_of_commands_is_shown() -> None:
    parts = ["training", "together", "sharing", "reading", "fit", "areas"]
    assert made.subcommands(made.words(["bench", "--help"])) == parts
    assert made.subcommands(made.words(["plan", "--help"])) == []


def test_links_of_an_included_file_are_seen_from_the_page() -> None:
    text = "[a](../CONTRIBUTING.md) [b](scales) [c](#keys) [d](https://arxiv.org) [e](config.yaml#x)"
    assert made.relinked(text, ROOT / "config", DOCS / "configuration.md") == (
        "[a](../CONTRIBUTING.md) b [c](#keys) [d](https://arxiv.org) [e](../config/config.yaml#x)"
    )


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Text with `a_b` and L_0*x.", [r"Text with :py:obj:`a_b` and L\_0\*x.", ""]),
        ("The `x`s.", [r"The :py:obj:`x`\ s.", ""]),
        ("Shape [n]; `m_i * x`", ["Shape [n]; ``m_i * x``", ""]),
        (
            "Parameters\n----------\nx : one\n    and more.\ny : two",
            ["**Parameters**", "", "- **x**: one and more.", "- **y**: two", ""],
        ),
        ("x: one.\n    More.\ny: two.", ["- **x**: one. More.", "- **y**: two.", ""]),
        ("First. x: one. And: more. y, z: two.", ["First.", "", "- **x**: one. And: more.", "- **y, z**: two.", ""]),
        ("One row for every curve: its errors.", ["One row for every curve: its errors.", ""]),
        ("As in::\n\n    a *b*\n\nThen.", ["As in::", "", "    a *b*", "", "Then.", ""]),
    ],
)
def test_docstrings_become_restructured_text(docstring: str, expected: list[str]) -> None:
    assert docstrings.converted(docstring.splitlines(), {"x", "y", "z"}) == expected
