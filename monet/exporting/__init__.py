"""Generators for other runtimes: ONNX, safetensors, a page for the browser, a folder for a model hub."""
