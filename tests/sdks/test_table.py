"""The table, written and read again."""

from tests.sdks.table import BEGIN, END, cell, differs, explained, explanations, read, render

ROWS = {"one": {"put": "✓", "get": "direct: ✓ http: ✗ https: ✗"}, "two": {"put": "–", "get": "all but `a b` `c|d`"}}


def test_what_is_written_is_read_again() -> None:
    page = f"# A page\n\n{BEGIN.format('s')}\n{render(ROWS, ['put', 'get'])}\n{END.format('s')}\nmore | text |\n"
    assert read(page, "s") == ROWS
    assert read(page, "another") == {}


def test_ways_that_agree_are_written_once() -> None:
    assert cell(["✓", "✓", "✓"]) == "✓"
    assert cell(["✗", "✓", "–"]) == "direct: ✗ http: ✓ https: –"
    assert differs(["✗", "✓", "✓"])
    assert not differs(["✗", "✗", "✗"])


def test_an_explanation_names_store_client_and_operation() -> None:
    page = "text\n- **s, one, get:** because\n- **s, two, get** no colon\n"
    assert explained(page, "s", "one", "get")
    assert not explained(page, "s", "one", "put")
    assert explanations(page) == {("s", "one", "get")}
