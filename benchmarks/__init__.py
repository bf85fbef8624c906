"""Benchmarks that scripts/bench runs; each prints what it measured."""
