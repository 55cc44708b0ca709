"""Orders by criteria: what a caller's variable that is not set must not buy."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.by_criteria.wishes import OrderNumbers


@pytest.mark.parametrize("fields", [{"prefix": ""}, {"prefix": ["415", ""]}, {"prefix": ":3"}, {"contains": ""}])
def test_what_is_empty_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="is empty: give digits like"):
        OrderNumbers.model_validate({"count": 3, **fields})
