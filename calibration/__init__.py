"""Judging and choosing: metrics, thresholds, sweeps and reports from recordings.

Runs offline on files; imports the core and never the runtime.
What it hands on is a number with its evidence, or a page to look at.
"""
