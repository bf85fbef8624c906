"""The nvinfer stand-in: nvinfer's configuration files, arithmetic and metadata, on ONNX Runtime.

What the code follows is nvinfer 9.1's behaviour on a Jetson, including what it refuses.
"""
