import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.spans import Span, find_span, read_moment, read_span
from keystore.errors import InvalidInput

SETTING: TypeAdapter[int] = TypeAdapter(Span)


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("2s", 2), ("1h", 3600), ("24h", 86400), ("7d", 604800)])
def test_a_span_is_nothing_or_a_number_with_its_unit(text: str, seconds: int) -> None:
    assert read_span(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "00", "-1h", "1.5h", "never", "2027-01-31", "٣d", "1h "])
def test_what_is_no_span_is_refused(text: str) -> None:
    assert find_span(text) is None
    with pytest.raises(InvalidInput):
        read_span(text)


@pytest.mark.parametrize("value", ["0", "", "never", "-1d", 0, -5, True, None, 1.5])
def test_a_setting_is_a_span_in_words_and_longer_than_nothing(value: object) -> None:
    assert SETTING.validate_python("90d") == SETTING.validate_python(90 * 86400) == 90 * 86400
    with pytest.raises(ValidationError):
        SETTING.validate_python(value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (None, None),
        ("30d", 1_000_000 + 30 * 86400),
        ("1h", 1_003_600),
        ("1970-01-02", 86400),
        ("1970-01-02T00:00:00Z", 86400),
        ("1970-01-02T01:00:00+01:00", 86400),
    ],
)
def test_times_are_spans_dates_or_rfc_3339(text: str | None, moment: int | None) -> None:
    assert read_moment(text, 1_000_000.5) == moment


@pytest.mark.parametrize("text", ["", "tomorrow", "30", "-1d", "٣d", "1.5h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_moment(text, 0)
