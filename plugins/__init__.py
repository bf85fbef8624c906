"""Native and stand-in plugins, one folder each.

standin/ holds the CPU elements and the pyds stand-in.
nvdsinfer_ropewatch/ holds the C++ parser that nvinfer loads.
"""
