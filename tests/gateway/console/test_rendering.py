from pathlib import Path

import jinja2
import pytest

from gateway.console.rendering import Templates, read_static


def test_a_static_file_is_called_by_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("one")
    (tmp_path / "notes.txt").write_text("left out")
    before = read_static(tmp_path)
    (tmp_path / "a.css").write_text("two")
    after = read_static(tmp_path)
    assert list(before) == ["a.css"]
    assert before["a.css"].path != after["a.css"].path


def test_other_people_s_text_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<a title="{{ label }}">{{ label }}</a>')
    text = Templates({}, tmp_path).render("page.html", {"label": "\"><script>'"})
    assert text == '<a title="&#34;&gt;&lt;script&gt;&#39;">&#34;&gt;&lt;script&gt;&#39;</a>'


def test_a_name_that_nobody_gave_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ label }}")
    with pytest.raises(jinja2.UndefinedError):
        Templates({}, tmp_path).render("page.html", {})


def test_no_template_says_that_something_is_safe_or_styles_anything_inline() -> None:
    folder = Path(__file__).parents[3] / "gateway" / "console" / "templates"
    for path in folder.glob("*.html"):
        text = path.read_text()
        for never in ("|safe", "| safe", "autoescape", "style=", "onclick", "onload", "<style", "http://"):
            assert never not in text, f"{path.name}: {never}"
        assert text.count("<script") == text.count("<script src="), path.name


def test_all_that_a_page_needs_is_under_100_kb() -> None:
    assert sum(len(file.content) for file in read_static().values()) < 60_000


def test_no_script_builds_a_page_from_text_or_keeps_anything() -> None:
    for file in read_static().values():
        for never in (b"innerHTML", b"outerHTML", b"insertAdjacent", b"eval(", b"localStorage", b"sessionStorage"):
            assert never not in file.content, f"{file.name}: {never.decode()}"
