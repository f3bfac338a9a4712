"""Tests of indexing tars that others packed."""

import pytest

pytest.register_assert_rewrite("foreign.checks")
