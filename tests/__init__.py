"""The tests; what they share lies in `tests.support`, and says as much as they do when it finds something."""

import pytest

pytest.register_assert_rewrite("tests.support")
