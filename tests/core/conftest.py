"""Comparisons in the helpers of these tests are explained as those in tests are."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("core.telling", "core.possible", "core.world")
