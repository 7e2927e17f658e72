"""A page taken apart: what a test asks of it."""

from html.parser import HTMLParser

VOID = ("meta", "br", "img", "input", "link")


class Page(HTMLParser):
    """The sections of a page by id: text, tables as rows of cells, and how often each tag and class is there."""

    def __init__(self, text):
        super().__init__()
        self.source, self.sections, self.tags, self.open, self.links = text, {}, set(), [], []
        self._cell = self._name = None
        self.feed(text)
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag == "section":
            self._name = found["id"]
            self.sections[self._name] = {"text": [], "tables": [], "classes": [], "titles": []}
        if self._name:
            own = self.sections[self._name]
            own["classes"] += (found.get("class") or "").split()
            own["titles"] += [found[name] for name in ("aria-label", "alt") if name in found]
            if tag == "table":
                own["tables"].append([])
            elif tag == "tr":
                own["tables"][-1].append([])
            elif tag in ("td", "th"):
                self._cell = []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.sections[self._name]["tables"][-1][-1].append("".join(self._cell).strip())
            self._cell = None
        if tag == "section":
            self._name = None

    def handle_data(self, data):
        if self._name:
            self.sections[self._name]["text"].append(data)
        if self._cell is not None:
            self._cell.append(data)

    def text(self, name):
        return " ".join(" ".join(self.sections[name]["text"]).split())

    def tables(self, name):
        return self.sections[name]["tables"]

    def count(self, name, css):
        return self.sections[name]["classes"].count(css)


def page_of(registry, run):
    from trainwright.report.page import render_run

    return Page(render_run(registry, run))
