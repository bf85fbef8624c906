"""Trains both demo models from rendered sites: `python -m demo.train`.

Belongs here: data sets, training loops, accuracy. Model code and ONNX export live in `export/`.
"""
