"""Reports of a run to ClearML, W&B or TensorBoard while it trains."""
