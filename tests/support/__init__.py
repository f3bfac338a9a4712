"""What several tests make and check: pictures, tars, refusals."""

import pytest

pytest.register_assert_rewrite(
    "support.exactness", "support.foreign_checks", "support.foreign_tars", "support.sequential_tars"
)
