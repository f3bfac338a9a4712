"""Tests of SequentialLoader, on tars as others write and serve them: compressed, without ranges, cut, hostile."""

import pytest

pytest.register_assert_rewrite("sequential.tars")
