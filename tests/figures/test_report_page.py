"""The HTML report: well-formed, self-contained, escaped, the same bytes twice."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from gputwas.errors import InputError
from gputwas.figures.report import Picture, StudySummary, render_report, write_report
from gputwas.figures.style import message_figure

Factory = Callable[..., pa.Table]
VOID = {"meta", "img", "input", "br", "link", "hr"}
EVIL = '<script>alert("1")</script>&\'"'


class Page(HTMLParser):
    """Checks that every element is closed in order; keeps elements and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open:
            self.words.append((self.open[-1], data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self) -> str:
        return " ".join(data for tag, data in self.words if tag not in ("script", "style"))


@pytest.fixture
def summary(significant: Factory) -> StudySummary:
    table = significant(50).sort_by([("nlog10_p", "descending")])
    imports = pa.table({
        "trait": ["a", "b"], "rows_read": [17_000_000, 5], "found_share": [0.934, None], "matched": [90, 1],
        "swapped": [80, 2], "palindromic": [7, 0], "same_alleles": [0, 0], "not_in_panel": [1000, 3],
    })  # fmt: skip
    wide = message_figure("a wide picture", width_mm=180, height_mm=50)
    small = message_figure("a picture", width_mm=80, height_mm=50)
    return StudySummary(
        title="A study", traits=3935, tissues=19, models=180_233, tests=709_216_855, significant=50, genes=20,
        pictures=[
            Picture(wide, "Manhattan", "All of them.", alt="Points along the genome"),
            Picture(small, "One", "left"), Picture(small, "Two", "right"),
        ],
        associations=table, imports=imports, notices=["Mind the gap."],
        provenance={"Versions": {"gputwas": "0.1.0"}, "Device": {"backend": "numpy"}},
    )  # fmt: skip


def test_page_is_well_formed_and_complete(summary: StudySummary) -> None:
    page = Page(render_report(summary))
    text = page.text()
    wanted = "A study|3,935|180,233|7.1 × 10⁸|Mind the gap.|0.1.0|numpy|93.4 %|17,000,000"
    for word in wanted.split("|"):
        assert word in text, word
    assert len(page.all("img")) == 3 and all(image["alt"] for image in page.all("img"))
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {a["href"] for a in page.all("a")} <= {f"#{name}" for name in ids}


def test_nothing_comes_from_outside(summary: StudySummary) -> None:
    text = render_report(summary)
    assert not re.search(
        r"https?:|//[a-z]|url\(|@import|<link|<iframe|<object", re.sub(r"base64,[^\"]*", "", text)
    )
    page = Page(text)
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name) or ""
            assert not value or value.startswith(("data:image/png;base64,", "#"))
    policy = page.all("meta")[1]["content"] or ""
    (script,) = [data for tag, data in page.words if tag == "script"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'") and f"'sha256-{digest}'" in policy


def test_every_text_is_escaped(summary: StudySummary, significant: Factory) -> None:
    table = significant(3)
    for name in ("trait", "tissue", "gene", "gene_name", "chromosome", "modality", "atlas", "region"):
        table = table.set_column(table.column_names.index(name), name, pa.array([EVIL] * 3))
    imports = pa.table({"trait": [EVIL], EVIL: [1]})
    picture = Picture(message_figure("x", width_mm=60, height_mm=40), EVIL, EVIL, EVIL)
    text = render_report(replace(
        summary, title=EVIL, subtitle=EVIL, correction=EVIL, notices=[EVIL], associations=table,
        imports=imports, pictures=[picture], provenance={EVIL: {EVIL: EVIL}},
    ))  # fmt: skip
    page = Page(text)
    assert len(page.all("script")) == 1
    assert text.count("<script>") == 1 and "alert(&quot;1&quot;)" in text
    assert page.text().count("<script>alert") >= 15
    assert page.all("img")[0]["alt"] == EVIL
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_headers_are_buttons_with_a_sort_state(summary: StudySummary) -> None:
    page = Page(render_report(summary))
    heads = [h for h in page.all("th") if h.get("scope") == "col"]
    assert len(heads) == 8 + 7
    assert all(
        head["aria-sort"] == "none" and head["data-first"] in ("ascending", "descending") for head in heads
    )
    tags = [tag for tag, _ in page.elements]
    for index, (tag, attributes) in enumerate(page.elements):
        if tag == "th" and attributes.get("scope") == "col":
            assert tags[index + 1] == "button"
    assert len(page.all("caption")) == 2


def test_rows_and_sort_keys(summary: StudySummary) -> None:
    text = render_report(summary)
    table = text[text.index('id="associations"') : text.index('id="imports"')]
    rows = re.findall(r"<tr>(.*?)</tr>", table)[1:]
    assert len(rows) == 50
    assert summary.associations is not None
    keys = [float(re.findall(r'data-v="([^"]*)"', row)[-2]) for row in rows]
    assert keys == [-value for value in summary.associations["nlog10_p"].to_pylist()]
    assert keys == sorted(keys)


def test_p_far_below_float_range_is_printed(summary: StudySummary, significant: Factory) -> None:
    table = significant(1).set_column(9, "nlog10_p", pa.array([1234.5]))
    assert "3.2 × 10<sup>−1235</sup>" in render_report(replace(summary, associations=table))


def test_long_tables_are_cut_and_say_so(summary: StudySummary) -> None:
    text = render_report(replace(summary, significant=12_345), most_rows=10)
    assert "The first 10 of 12,345 significant associations" in text
    assert text.count('class="gene"') == 10


def test_reasons_that_never_occurred_have_no_column(summary: StudySummary) -> None:
    text = render_report(summary)
    assert "No rows at all: same alleles." in text and ">Same alleles</button>" not in text
    assert ">Palindromic</button>" in text


def test_missing_values_and_columns(summary: StudySummary, significant: Factory) -> None:
    table = significant(2)
    nulls = [pa.nulls(2, table.schema.field(name).type) for name in table.column_names]
    Page(
        render_report(
            replace(summary, associations=pa.table(dict(zip(table.column_names, nulls, strict=True))))
        )
    )
    page = Page(
        render_report(replace(summary, associations=table.select(["gene", "nlog10_p"]), imports=None))
    )
    assert len([h for h in page.all("th") if h.get("scope") == "col"]) == 2


def test_a_bare_summary_is_a_page(summary: StudySummary, significant: Factory) -> None:
    bare = StudySummary(title="Bare", traits=1, tissues=1, models=1, tests=1, significant=0, genes=0)
    page = Page(render_report(bare))
    assert page.all("section") == [] and "Bare" in page.text()
    text = render_report(replace(summary, associations=significant(2).slice(0, 0)))
    assert "No significant associations." in text


def test_written_whole_and_the_same_twice(summary: StudySummary, tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", summary)
    write_report(tmp_path / "b.html", summary)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == render_report(summary)
    with pytest.raises(InputError, match="folder does not exist"):
        write_report(tmp_path / "absent" / "a.html", summary)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]
