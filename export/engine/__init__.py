"""ONNX to TensorRT engines on the box: built, cached, and passed by the parity gate or refused.

`tensorrt` and `pycuda` are imported when a command runs, in tensorrt_*.py and machine.py alone.
Polygraphy is no dependency. Its loaders wrap the calls of tensorrt_road.py one by one and would
save some forty lines; they keep the timing cache and the engine by plain writes, which a power cut
can halve, and its comparer wants ONNX Runtime, which a box has no use for: golden outputs are
shipped. By hand it serves well to find the layer behind a refusal, see docs/engines.md.
"""
