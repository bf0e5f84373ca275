"""The Kaggle kernels: built, checked here, and pushed."""
