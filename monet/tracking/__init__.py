"""What a run does, told to ClearML, W&B or TensorBoard as it happens."""
