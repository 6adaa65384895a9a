"""Tests of what hexa offers for tests."""
