"""The date of built files."""

import pytest

from gar_publish.errors import BadInput
from gar_publish.settings.source_date import source_date


@pytest.mark.parametrize(
    ("given", "date"),
    [("", "1580601600"), ("315619200", "315619200"), ("1700000000", "1700000000"), ("4354732800", "4354732800")],
)
def test_a_date(given: str, date: str) -> None:
    assert source_date({"SOURCE_DATE_EPOCH": given}) == date
    assert source_date({}) == "1580601600"


@pytest.mark.parametrize("given", ["yesterday", "-1", "0", "315619199", "4354732801", "1.5", " 1", "٣١٥٦١٩٢٠٠"])
def test_a_date_that_archives_cannot_have(given: str) -> None:
    with pytest.raises(BadInput, match="SOURCE_DATE_EPOCH") as raised:
        source_date({"SOURCE_DATE_EPOCH": given})
    assert raised.value.anchor == "source-date"
