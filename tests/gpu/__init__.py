"""What is to be learned from a GPU, in parts: python -m tests.gpu"""
