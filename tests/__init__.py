"""Tests that cross distributions: the stack, the DAG, the wheels, the private index, the architecture."""
